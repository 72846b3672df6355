/** Why a place has failed, or has less than it should: as far as the service can prove it. */
import { useMemo } from 'preact/hooks'
import { get } from '../api.ts'
import { addDays } from '../format.ts'
import type { components } from '../generated/api.d.ts'
import type { LiveLine } from '../live.ts'
import type { Slot } from './slots.ts'
import { useAnswer } from './use-answer.ts'

type Gap = components['schemas']['Gap']
/** What of a gap says whether and why it explains a place. */
export type GapSpan = Pick<Gap, 'from' | 'to' | 'cause'> & { proof: Pick<Gap['proof'], 'onItsWay'> }
export interface Cause {
  cause: Gap['cause']
  /** What is missing may still come. */
  onItsWay: boolean
}

const gapsMax = 20_000

/** The places with their causes, once these are known; a place whose cause nothing proves has none. */
export const useCauses = (
  slots: readonly Slot[] | undefined,
  { store, door }: { store: string; door: string | undefined },
  live: LiveLine,
): readonly Slot[] | undefined => {
  const doubtful = useMemo(() => slots?.filter(needsCause) ?? [], [slots])
  const [first, last] = [doubtful[0], doubtful.at(-1)]
  const query = first &&
    last && {
      ...{ site: store, stream: 'count', from: first.date, to: last.date, limit: gapsMax },
      ...(door !== undefined && { sensor: door }),
    }
  const { value } = useAnswer(query && JSON.stringify(query), [store], live, signal =>
    get('/v1/gaps', query ?? { site: store }, signal),
  )
  return useMemo(() => (value ? slots?.map(slot => withCauses(slot, value.gaps)) : slots), [slots, value])
}

const needsCause = ({ status }: Slot): boolean => status === 'failed' || status === 'missing' || status === 'partial'

export const withCauses = (slot: Slot, gaps: readonly GapSpan[]): Slot => {
  if (!needsCause(slot)) return slot
  const { from, to } = spanOf(slot)
  const causes = new Map<Gap['cause'], Cause>()
  for (const gap of gaps) {
    if (localOf(gap.from) >= to || localOf(gap.to) <= from) continue
    const had = causes.get(gap.cause)
    causes.set(gap.cause, { cause: gap.cause, onItsWay: gap.proof.onItsWay || had?.onItsWay === true })
  }
  // That it failed, the place says itself; what is unknown is no cause.
  const proven = [...causes.values()].filter(({ cause }) => cause !== 'failed' && cause !== 'unknown')
  return proven.length === 0 ? slot : { ...slot, causes: proven }
}

/** In local time as text: `2026-03-18T09:00`, which sorts as time does. */
const spanOf = ({ date, hour }: Slot): { from: string; to: string } => {
  if (hour === null) return { from: `${date}T00:00`, to: `${addDays(date, 1)}T00:00` }
  const at = (h: number) => (h === 24 ? `${addDays(date, 1)}T00:00` : `${date}T${String(h).padStart(2, '0')}:00`)
  return { from: at(hour), to: at(hour + 1) }
}
const localOf = (iso: string): string => iso.slice(0, 16)

/** The correction of a cause: said, previewed, replayed. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import { post, type Recipe, type RejectGroup, type RejectPreview, type RejectState } from '../api.ts'
import { go } from '../router.tsx'
import { correctionOf, type Fix, guess } from './fix.ts'
import { FixForm } from './form.tsx'
import { NameField } from './name.tsx'
import { countText, quarantineUrl, t } from './parts.tsx'
import { Preview } from './preview.tsx'

const typingMs = 350

export interface CorrectProps {
  group: RejectGroup
  recipe: Recipe | null
  state: RejectState
  fix: Fix | undefined
  /** Counts up when there may be others to preview. */
  changes: number
  name: string
  onName(name: string): void
  onDone(): void
}

export const Correct = ({ group, recipe, state, fix: chosen, changes, name, onName, onDone }: CorrectProps) => {
  const fix = useMemo(() => chosen ?? guess(group.example, recipe), [chosen, group.id, recipe])
  const correction = correctionOf(fix, recipe)
  const text = typeof correction === 'object' ? JSON.stringify(correction) : undefined
  const [said, setSaid] = useState<{ text: string; failed?: boolean }>()
  const [progress, setProgress] = useState<number>()
  const shown = usePreview(group.id, state, text, changes)

  const replay = async () => {
    setSaid(undefined)
    setProgress(0)
    try {
      const sum = await replayAll({ group: group.id, state }, correction as object, name.trim(), setProgress)
      const failing = sum.failing > 0 ? ` ${t.replayFailed(countText(sum.failing))}` : ''
      setSaid({ text: t.replayed(countText(sum.replayed), countText(sum.rows)) + failing })
    } catch (error) {
      setSaid({ text: (error as Error).message, failed: true })
    }
    setProgress(undefined)
    onDone()
  }
  const waiting = group[state]
  const count = replayable(shown.preview)
  if (waiting === 0 && !said) return null
  return (
    <section class="panel correct" aria-labelledby="correct-title">
      <h2 id="correct-title">{t.correct}</h2>
      {!recipe && <p class="quiet">{t.noRecipe}</p>}
      <FixForm
        {...{ fix, recipe, example: group.example.text }}
        onFix={next => go(quarantineUrl({ state, group: group.id, fix: JSON.stringify(next) }), { replace: true })}
      />
      <Preview {...shown} isBadJson={correction === 'json'} />
      <div class="fields">
        <NameField value={name} onChange={onName} />
        <button
          type="button"
          class="primary"
          disabled={count === 0 || progress !== undefined}
          onClick={() => void replay()}
        >
          {progress !== undefined
            ? t.replaying(countText(progress))
            : count === 0
              ? t.replayNone
              : t.replay(countText(count), count === 1)}
        </button>
      </div>
      <p role="status" class={said?.failed ? 'warn' : ''} data-said={said ? '' : undefined}>
        {said?.text}
      </p>
    </section>
  )
}

/** Where not all were tried, the rest may well be read too. */
const replayable = (preview: RejectPreview | undefined): number =>
  preview === undefined ? 0 : preview.readable === 0 ? 0 : preview.matched - preview.failing

const replayAll = async (
  filter: { group: string; state: RejectState },
  correction: object,
  by: string,
  onProgress: (replayed: number) => void,
) => {
  const sum = { replayed: 0, rows: 0, failing: 0 }
  let before: string | null = null
  do {
    const request: object = { filter, correction, ...(by !== '' && { by }), ...(before !== null && { before }) }
    const answer: Awaited<ReturnType<typeof post<'/v1/rejects/replay'>>> = await post('/v1/rejects/replay', request)
    sum.replayed += answer.replayed
    sum.rows += answer.rows
    sum.failing += answer.failing
    onProgress(sum.replayed)
    before = answer.next
  } while (before !== null)
  return sum
}

export interface Previewed {
  preview: RejectPreview | undefined
  error: string | undefined
  busy: boolean
}

/** What the correction would make of the rejects, a moment after it was last changed. */
const usePreview = (group: string, state: RejectState, correction: string | undefined, changes: number): Previewed => {
  const [shown, setShown] = useState<Previewed>({ preview: undefined, error: undefined, busy: false })
  useEffect(() => {
    if (correction === undefined) {
      setShown({ preview: undefined, error: undefined, busy: false })
      return
    }
    const abort = new AbortController()
    setShown(had => ({ ...had, busy: true }))
    const timer = window.setTimeout(() => {
      const request = { filter: { group, state }, correction: JSON.parse(correction) as object }
      post('/v1/rejects/preview', request, abort.signal).then(
        preview => setShown({ preview, error: undefined, busy: false }),
        (cause: Error) => !abort.signal.aborted && setShown({ preview: undefined, error: cause.message, busy: false }),
      )
    }, typingMs)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [group, state, correction, changes])
  return shown
}

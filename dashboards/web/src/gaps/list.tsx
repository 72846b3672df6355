/** What is missing and why, cause by cause with what to do, and gap by gap with its proof. */
import { useState } from 'preact/hooks'
import { numberText } from '../format.ts'
import { Link } from '../router.tsx'
import { texts } from '../texts.ts'
import type { Cause } from './url.ts'
import type { Gap, Gaps } from './use-gaps.ts'
import { proofText, spanText } from './words.ts'

const t = texts.gaps

export interface CausesProps {
  gaps: Gaps
  cause: Cause | undefined
  onCause(cause: Cause | undefined): void
}

/** Each cause that occurs: chosen, only its gaps are shown. */
export const Causes = ({ gaps, cause, onCause }: CausesProps) => (
  <ul class="causes">
    {gaps.totals.map(total => (
      <li key={total.cause}>
        <button
          type="button"
          class="cause"
          aria-pressed={cause === total.cause}
          onClick={() => onCause(cause === total.cause ? undefined : total.cause)}
        >
          <span class={`mark cause-${total.cause}`} aria-hidden="true">
            {t.causes[total.cause].mark}
          </span>
          <strong>{t.causes[total.cause].name}</strong>
          <span class="quiet">{t.hours(total.hours, numberText(total.hours))}</span>
          <span class="cause-what">{t.causes[total.cause].what}</span>
          <span class="cause-act">{t.causes[total.cause].act}</span>
        </button>
      </li>
    ))}
  </ul>
)

const shownAtFirst = 12

export const GapList = ({ gaps, cause }: Pick<CausesProps, 'gaps' | 'cause'>) => {
  const [all, setAll] = useState(false)
  const names = new Map(gaps.sensors.map(({ id, name }) => [id, name]))
  const wanted = gaps.gaps.filter(gap => cause === undefined || gap.cause === cause)
  const shown = all ? wanted : wanted.slice(0, shownAtFirst)
  return (
    <>
      <ul class="gap-list">
        {shown.map(gap => (
          <li key={`${gap.sensor} ${gap.from}`}>
            <span class={`mark cause-${gap.cause}`} aria-hidden="true">
              {t.causes[gap.cause].mark}
            </span>
            <div>
              <strong>
                {t.sensor} {names.get(gap.sensor) ?? gap.sensor}
              </strong>{' '}
              <span>{spanText(gap.from, gap.to)}</span>{' '}
              <span class="quiet">
                {t.hours(gap.hours, numberText(gap.hours))} · {t.causes[gap.cause].name}
                {gap.proof.onItsWay && ` · ${t.onItsWay}`}
              </span>
              <p class="quiet small">
                {proofText(gap)} <Act gap={gap} />
              </p>
            </div>
          </li>
        ))}
      </ul>
      {wanted.length > shown.length && (
        <button type="button" onClick={() => setAll(true)}>
          {t.more(numberText(wanted.length - shown.length))}
        </button>
      )}
    </>
  )
}

/** Where one acts. */
const Act = ({ gap }: { gap: Gap }) => {
  const way = gap.proof.ways.find(({ gateway }) => gateway !== null)
  if (gap.cause === 'rejected') {
    const query = new URLSearchParams({
      ...(way?.gateway && { gateway: way.gateway }),
      ...(way?.source && { source: way.source }),
    })
    return <Link to={`/quarantine?${query}`}>{t.proof.quarantine}</Link>
  }
  if (!way?.gateway || gap.cause === 'failed') return null
  return <Link to={`/gateways?gateway=${encodeURIComponent(way.gateway)}`}>{t.proof.gateways}</Link>
}

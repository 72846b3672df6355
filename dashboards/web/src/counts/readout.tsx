/** What a place of a chart or table says in words. */
import type { CountRow } from '../api.ts'
import { meanText, numberText } from '../format.ts'
import { Change } from '../parts.tsx'
import { texts } from '../texts.ts'
import { isUnderWay, slotTitle } from './chart.tsx'
import type { Slot } from './slots.ts'

const { key: keys, state: states } = texts.counts

/** What the pointed place says, or, while nothing is pointed at, what the marks mean. */
export const Readout = ({ slot, band = true }: { slot: Slot | undefined; band?: boolean }) => (
  <div class="readout" aria-live="polite">
    {slot ? (
      <>
        <strong>{slotTitle(slot)}</strong>
        {slot.row && slot.status !== 'failed' && slot.status !== 'closed' ? (
          <>
            <span class="key bars">{numberText(slot.row.count ?? 0)}</span>
            <span class="key line">
              {meanText(slot.row.baseline)}
              {slot.row.baselineSpread !== null && ` ± ${meanText(slot.row.baselineSpread)}`}
            </span>
            {!isUnderWay(slot) && <Change percent={slot.row.changePercent} />}
          </>
        ) : null}
        <StatusText slot={slot} />
      </>
    ) : (
      <>
        <span class="key bars">{keys.visitors}</span>
        <span class="key line">{keys.baseline}</span>
        {band && <span class="key band">{keys.band}</span>}
        <span class="key failed">{keys.failed}</span>
        <span class="key missing">{keys.missing}</span>
      </>
    )}
  </div>
)

const failedText = (row: CountRow | undefined): string =>
  row && row.failed > 0 ? states.doorsFailed(row.failed) : states.partMissing

/** @param named whether a place that is as it should be says so too */
export const StatusText = (props: { slot: Slot; named?: boolean }) => (
  <>
    <StateText {...props} />
    {props.slot.causes?.map(({ cause, onItsWay }) => (
      <span key={cause} class="quiet cause">
        {texts.gaps.causes[cause].name}
        {onItsWay && `, ${states.onItsWay}`}
      </span>
    ))}
  </>
)

const StateText = ({ slot, named = false }: { slot: Slot; named?: boolean }) => {
  const underWay = isUnderWay(slot) && <span class="tag open">{states.underWay}</span>
  switch (slot.status) {
    case 'failed':
      return <span class="tag failed">{states.failed}</span>
    case 'partial':
      return (
        <>
          {underWay}
          <span class="tag failed">{failedText(slot.row)}</span>
        </>
      )
    case 'missing':
      return <span class="tag missing">{states.missing}</span>
    case 'closed':
      return <span class="tag">{states.closed}</span>
    case 'pending':
      return <span class="tag">{states.pending}</span>
    default:
      return underWay || (named ? <span class="quiet">{states.ok}</span> : null)
  }
}

/** What a place of a chart or table says in words. */
import type { CountRow } from '../api.ts'
import { numberText } from '../format.ts'
import { Change } from '../parts.tsx'
import { isUnderWay, slotTitle } from './chart.tsx'
import type { Slot } from './slots.ts'

/** What the pointed place says, or, while nothing is pointed at, what the marks mean. */
export const Readout = ({ slot }: { slot: Slot | undefined }) => (
  <div class="readout" aria-live="polite">
    {slot ? (
      <>
        <strong>{slotTitle(slot)}</strong>
        {slot.row && slot.status !== 'failed' && slot.status !== 'closed' ? (
          <>
            <span class="key bars">{numberText(slot.row.count ?? 0)}</span>
            <span class="key line">{slot.row.baseline === null ? '–' : numberText(slot.row.baseline)}</span>
            {!isUnderWay(slot) && <Change percent={slot.row.changePercent} />}
          </>
        ) : null}
        <StatusText slot={slot} />
      </>
    ) : (
      <>
        <span class="key bars">Visitors</span>
        <span class="key line">Baseline</span>
        <span class="key failed">Failed</span>
        <span class="key missing">No data</span>
      </>
    )}
  </div>
)

const failedText = (row: CountRow | undefined): string =>
  row && row.failed > 0 ? `${row.failed} ${row.failed === 1 ? 'hour' : 'hours'} of a door failed` : 'a part is missing'

export const StatusText = ({ slot }: { slot: Slot }) => {
  switch (slot.status) {
    case 'failed':
      return <span class="tag failed">measurement failed</span>
    case 'partial':
      return (
        <>
          {isUnderWay(slot) && <span class="tag open">so far</span>}
          <span class="tag failed">{failedText(slot.row)}</span>
        </>
      )
    case 'missing':
      return <span class="tag missing">no data</span>
    case 'closed':
      return <span class="tag">closed</span>
    case 'pending':
      return <span class="tag">not begun</span>
    default:
      return isUnderWay(slot) ? <span class="tag open">so far</span> : null
  }
}

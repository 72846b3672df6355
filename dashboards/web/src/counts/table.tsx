/** The places of the chart as a table, latest first. */
import { useState } from 'preact/hooks'
import { meanText, numberText, percentText } from '../format.ts'
import { Change, Ticking } from '../parts.tsx'
import { texts } from '../texts.ts'
import { isUnderWay, slotTitle } from './chart.tsx'
import { StatusText } from './readout.tsx'
import { Scroller } from './scroller.tsx'
import type { Slot } from './slots.ts'

const t = texts.counts.table
const rowsStep = 100

export const CountTable = ({ slots }: { slots: readonly Slot[] }) => {
  const [rowsMax, setRowsMax] = useState(rowsStep)
  const shown = slots.slice(-rowsMax).reverse()
  const left = slots.length - shown.length
  return (
    <Scroller label={t.caption}>
      <table>
        <caption class="hidden">{t.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{slots[0]?.hour === null ? t.day : t.hour}</th>
            <th scope="col">{t.visitors}</th>
            <th scope="col">{t.baseline}</th>
            <th scope="col">{t.change}</th>
            <th scope="col" title={t.coverageTitle}>
              {t.coverage}
            </th>
            <th scope="col">{t.state}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(slot => (
            <CountTableRow key={`${slot.date} ${slot.hour}`} slot={slot} />
          ))}
        </tbody>
      </table>
      {left > 0 && (
        <div class="table-foot">
          <button type="button" onClick={() => setRowsMax(rowsMax + rowsStep * 5)}>
            {t.more(numberText(Math.min(left, rowsStep * 5)))}
          </button>
        </div>
      )}
    </Scroller>
  )
}

const CountTableRow = ({ slot }: { slot: Slot }) => {
  const { row } = slot
  const counted = slot.status === 'ok' || slot.status === 'partial'
  return (
    <tr class={slot.status}>
      <th scope="row">{slotTitle(slot)}</th>
      <td>{counted ? isUnderWay(slot) ? <Ticking value={row?.count ?? 0} /> : numberText(row?.count ?? 0) : '–'}</td>
      <td>{row && slot.status !== 'closed' ? meanText(row.baseline) : '–'}</td>
      <td>{counted && !isUnderWay(slot) ? <Change percent={row?.changePercent ?? null} /> : '–'}</td>
      <td>{(counted && !isUnderWay(slot)) || slot.status === 'failed' ? percentText(row?.coverage ?? null) : '–'}</td>
      <td>
        <StatusText slot={slot} named />
      </td>
    </tr>
  )
}

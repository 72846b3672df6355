/** Which columns share a chart and an axis: one axis a unit, at most two a chart; and the aligned columns that uPlot draws. */
import uPlot from 'uplot'
import type { Rows } from './rows.ts'

export interface Line {
  rows: Rows
  /** Index among the columns of its rows. */
  column: number
  name: string
  unit: string
  isSteps: boolean
  /** Its place among all lines of the page: colour and dash. */
  index: number
}
export interface ChartPlan {
  /** One or two. */
  units: string[]
  lines: Line[]
}

export const plansOf = (all: readonly Rows[]): ChartPlan[] => {
  const several = all.length > 1
  let index = 0
  const lines = all.flatMap(rows =>
    rows.columns.flatMap((column, at): Line[] => {
      if (column.type === 'vector' || column.type === 'text') return []
      const name = several ? `${rows.device} · ${column.name}` : column.name
      return [{ rows, column: at, name, unit: column.unit ?? '', isSteps: column.type === 'bool', index: index++ }]
    }),
  )
  const units = [...new Set(lines.map(line => line.unit))]
  const plans: ChartPlan[] = []
  for (let i = 0; i < units.length; i += 2) {
    const own = units.slice(i, i + 2)
    plans.push({ units: own, lines: lines.filter(line => own.includes(line.unit)) })
  }
  return plans
}

/** Columns of x and each line. A gap is a null; where another series has a row and this one has none it is undefined. */
export const alignedOf = (lines: readonly Line[], log: boolean): uPlot.AlignedData => {
  const sources = [...new Set(lines.map(line => line.rows))]
  const tables = sources.map((rows): uPlot.AlignedData => {
    const own = lines.filter(line => line.rows === rows)
    const x = [...rows.x]
    const columns = own.map(({ column }) =>
      (rows.columns[column]?.values ?? []).map(value => (value !== null && log && value <= 0 ? null : value)),
    )
    for (let i = rows.gaps.length - 1; i >= 0; i--) {
      const { from, to } = rows.gaps[i] ?? { from: 0, to: 0 }
      const at = x.lastIndexOf(from) + 1
      x.splice(at, 0, (from + to) / 2)
      for (const values of columns) values.splice(at, 0, null)
    }
    return [x, ...columns]
  })
  const [only] = tables
  if (tables.length === 1 && only) return only
  return tables.length === 0 ? [[]] : uPlot.join(tables)
}

/** Values that a logarithmic axis cannot show. */
export const hiddenByLog = (lines: readonly Line[]): number =>
  lines.reduce(
    (sum, { rows, column }) => sum + (rows.columns[column]?.values ?? []).filter(v => v !== null && v <= 0).length,
    0,
  )

/** What stands above the data of a delimited file: lines to pass over, a row of names, a row of units. */
import { LIMITS } from '@penstock/frame'
import { numberNames } from './column-names.ts'

export interface HeaderPlan {
  skip: number
  after: string | undefined
  names: boolean | readonly string[]
  units: boolean
}

export interface Header {
  /** Whether header lines are still to come. */
  open(): boolean
  /** Whether the next line belongs to the part that is passed over, whatever it holds. */
  wantsRawLine(): boolean
  rawLine(text: string): void
  /** The row of names, then the row of units. */
  row(texts: readonly string[]): void
  names(): readonly string[] | undefined
  units(): readonly string[] | undefined
  /** What the file lacks when it ends within its header; undefined where only rows of data are missing. */
  missing(): string | undefined
  /** No header is looked for any more. */
  abandon(): void
}

export const createHeader = (plan: HeaderPlan): Header => {
  let toSkip = plan.skip
  let marker = plan.after
  let wantsNames = plan.names === true
  let wantsUnits = plan.units
  let names = Array.isArray(plan.names) ? numberNames(plan.names) : undefined
  let units: readonly string[] | undefined
  const wantsRawLine = () => toSkip > 0 || marker !== undefined
  return {
    wantsRawLine,
    open: () => wantsRawLine() || wantsNames || wantsUnits,
    rawLine: text => {
      if (toSkip > 0) toSkip--
      else if (marker !== undefined && text.startsWith(marker)) marker = undefined
    },
    row: texts => {
      if (wantsNames) {
        names = numberNames(texts)
        wantsNames = false
      } else {
        units = texts.map(text => text.slice(0, LIMITS.nameCharsMax))
        wantsUnits = false
      }
    },
    names: () => names,
    units: () => units,
    missing: () => {
      if (toSkip > 0) return `the file ends within the ${plan.skip} lines to pass over above its header`
      return marker === undefined
        ? undefined
        : `no line of the file begins with "${marker}", behind which its data stand`
    },
    abandon: () => {
      toSkip = 0
      marker = undefined
      wantsNames = false
      wantsUnits = false
    },
  }
}

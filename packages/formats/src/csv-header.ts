/** What stands above the data of a delimited file: lines to pass over, a row of names, a row of units. */
import { LIMITS } from '@penstock/frame'
import * as z from 'zod'
import { numberNames } from './column-names.ts'

export const headerSchema = z
  .union([
    z.boolean(),
    z.strictObject({
      skip: z.int().min(0).max(10_000).default(0).describe('Lines to pass over first, whatever they hold'),
      after: z.string().min(1).optional().describe('The header follows the first line that begins with this text'),
      names: z
        .union([z.boolean(), z.array(z.string()).min(1)])
        .default(true)
        .describe('Whether a row of column names comes; or the names themselves, where the file has none'),
      units: z.boolean().default(false).describe('Whether a row of units follows the names'),
      unitsInNames: z
        .boolean()
        .default(false)
        .describe('Whether a name may end with its unit, as in "Pressure (mbar)" and "R1 [ohm]": it becomes the unit'),
    }),
  ])
  .default(true)
  .describe('What stands above the data: true, a row of names; false, nothing; or in detail')

export interface HeaderPlan {
  skip: number
  after: string | undefined
  names: boolean | readonly string[]
  units: boolean
  /** Names may hold a unit: `Pressure (mbar)`, `R1 [ohm]`. */
  unitsInNames: boolean
}

export const headerPlan = (header: z.output<typeof headerSchema>): HeaderPlan =>
  typeof header === 'boolean'
    ? { skip: 0, after: undefined, names: header, units: false, unitsInNames: false }
    : { ...header, after: header.after }

export interface Header {
  /** Whether header lines are still to come. */
  open(): boolean
  /** Whether the next line belongs to the part that is passed over, whatever it holds. */
  wantsRawLine(): boolean
  rawLine(text: string): void
  /** The row of names, then the row of units. */
  row(texts: readonly string[]): void
  names(): readonly string[] | undefined
  /** The names as they stand in the file, where `names` has them without their units. */
  fullNames(): readonly string[] | undefined
  /** The cells of the row of names, as it stands in the file. */
  nameCells(): readonly string[] | undefined
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
  let names: readonly string[] | undefined
  let fullNames: readonly string[] | undefined
  let nameCells: readonly string[] | undefined
  let units: readonly string[] | undefined
  const setNames = (texts: readonly string[]): void => {
    names = numberNames(texts)
    if (!plan.unitsInNames) return
    fullNames = names
    const parts = names.map(unitOf)
    const bare = parts.map(part => part.name)
    // Two columns that differ by their units alone keep them in their names.
    names = names.map(
      (name, i) => (bare.indexOf(bare[i] ?? '') === bare.lastIndexOf(bare[i] ?? '') ? bare[i] : name) ?? name,
    )
    units = parts.map((part, i) => (names?.[i] === part.name ? part.unit : ''))
  }
  if (Array.isArray(plan.names)) setNames(plan.names)
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
        nameCells = texts
        setNames(texts)
        wantsNames = false
      } else {
        const own = units
        units = texts.map((text, i) => text.slice(0, LIMITS.nameCharsMax) || (own?.[i] ?? ''))
        wantsUnits = false
      }
    },
    names: () => names,
    fullNames: () => fullNames,
    nameCells: () => nameCells,
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

/** `Pressure (mbar)` and `R1 [ohm]` in two; a bracket with a blank, a colon or only digits in it is no unit. */
const unitOf = (name: string): { name: string; unit: string } => {
  const parts = /^(.*\S)(?:\s+\(|\s*\[)\s*([^()[\]\s:]{1,24})\s*[)\]]$/u.exec(name)
  return parts && !/^\d+$/.test(parts[2] ?? '')
    ? { name: parts[1] as string, unit: parts[2] as string }
    : { name, unit: '' }
}

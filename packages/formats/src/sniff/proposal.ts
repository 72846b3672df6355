/** What `sniff` is given and what it says; its parts share these. */
import type { Json } from '@penstock/frame'
import type { FileBytes } from '../decoder.ts'

export interface SniffInput {
  /** Base name of the file: dates and numbers in it count. */
  name: string
  file: FileBytes
  /** IANA zone of the machine: what local times are taken for. */
  zone?: string
  /** The present, for whether a day is plausible. */
  nowMs?: number
}

/** Something assumed that the file cannot prove; stands as a comment at `path` (below the source, e.g. ['format','time','layout']) of the YAML. */
export interface Doubt {
  path: (string | number)[]
  text: string
}

/** One thing found, in the order in which one tells it. */
export interface Finding {
  what: string
  text: string
}

export type Settings = { [key: string]: Json }

export interface Proposal {
  /** As under `format:` in a source; formatSchema reads it. */
  format: Settings
  /** How such a file is best read. */
  source: { kind: 'tail' | 'drop'; pattern: string; device?: string; stream?: string; zone?: string }
  doubts: Doubt[]
  /** What was found: encoding, delimiter, decimal mark, header, units, time, zone candidates, null texts … */
  findings: Finding[]
  /** 0 … 1 */
  confidence: number
}

/** A proposal before it was tried on the sample. */
export interface Draft {
  format: Settings
  kind: 'tail' | 'drop'
  stream: string
  device?: string
  /** Its times are local and need a zone. */
  local?: boolean
  /** ms of the rows of the sample, as if UTC; for the nights on which clocks change. */
  localMs?: Float64Array
  zone?: string
  /** Holds for this one file only (a start of its own): the pattern is its name. */
  onlyThis?: boolean
  doubts: Doubt[]
  findings: Finding[]
  /** 0 … 1: how much more this says about the file than another draft that reads as many rows. */
  weight: number
}

/** What other parts of the sample and the machine say that bears on how a column is read. */
export interface Hints {
  name: string
  zone: string | undefined
  nowMs: number | undefined
  decimal: '.' | ','
  delimiter: string
  /** Text around the data: metadata, header, comments. */
  around: string
}

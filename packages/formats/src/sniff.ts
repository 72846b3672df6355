/**
 * From a sample file to the configuration that reads it.
 *
 *     bytes ─► signature? ─► encoding ─► known instruments · JSON · tables · lines ─► drafts ─► each tried on the sample ─► proposals
 *
 * Pure and bounded: a head, some pieces of the middle and the end are read, never the whole of a large file. Whatever the
 * bytes are, no exception: where nothing fits there is no proposal, and `sniffFile` says why.
 */
import { isZone } from '@penstock/frame'
import { createTextDecoder } from './input.ts'
import { draftCsv, findTables, singleColumn } from './sniff/delimited.ts'
import { guessEncoding, type TextEncoding } from './sniff/encoding.ts'
import { imageDraft } from './sniff/image-draft.ts'
import { draftInstruments } from './sniff/instruments.ts'
import { draftJsonDocument, draftJsonl } from './sniff/json-text.ts'
import { draftLines } from './sniff/lines-text.ts'
import { deviceOf, patternOf } from './sniff/names.ts'
import { presetDraft, withMeaning } from './sniff/presets.ts'
import type { Doubt, Draft, Hints, Proposal, SniffInput } from './sniff/proposal.ts'
import { type Sample, takeSample, wholeLines } from './sniff/sample.ts'
import { signatureOf } from './sniff/signature.ts'
import { scoreOf, type Trial, type TrialBytes, tryDraft } from './sniff/trial.ts'
import { zoneFindings } from './sniff/zones.ts'

export type { Doubt, Finding, Proposal, SniffInput } from './sniff/proposal.ts'

export interface SniffResult {
  /** Best first. */
  proposals: Proposal[]
  /** One sentence, where there is no proposal. */
  reason?: string
}

const proposalsMax = 4
/** Below this a draft reads nothing of use. */
const scoreMin = 0.05
const linesMax = 20_000
const doubtsMax = 40
/** A table of this score is one: its lines are not looked at as texts. */
const tableScoreMin = 0.45

/** Best first; none where nothing fits. */
export const sniff = async (input: SniffInput): Promise<Proposal[]> => (await sniffFile(input)).proposals

/** As `sniff`, and why there is no proposal. Rejects only where the file cannot be read. */
export const sniffFile = async (input: SniffInput): Promise<SniffResult> => {
  const sample = await takeSample(input.file)
  if (sample.size === 0 || sample.head.length === 0) return { proposals: [], reason: 'the file is empty' }
  const zone = input.zone !== undefined && isZone(input.zone) ? input.zone : undefined
  try {
    return await sniffSample({ ...input, ...(zone !== undefined && { zone }) }, sample, zone)
  } catch (error) {
    return {
      proposals: [],
      reason: `the file was not understood (${error instanceof Error ? error.message : String(error)})`,
    }
  }
}

const sniffSample = async (input: SniffInput, sample: Sample, zone: string | undefined): Promise<SniffResult> => {
  const hints: Hints = { name: input.name, zone, nowMs: input.nowMs, decimal: '.', delimiter: ',', around: '' }
  const known = await signatureOf(sample, input.file, input.name, hints)
  if (typeof known === 'string') return { proposals: [], reason: known }
  if (known) return rank(known, input, undefined, undefined, zone)
  const encoding = guessEncoding(sample, zone)
  if (typeof encoding === 'string') return { proposals: [], reason: encoding }
  const bytes = wholeLines(sample, encoding.wide)
  const decoder = createTextDecoder(encoding.name)
  const text = decoder.decode(bytes).replace(/^\ufeff/, '')
  const lines = text.split(/\r\n|\n|\r/).slice(0, linesMax)
  if (lines.at(-1) === '') lines.pop()
  const label = encoding.named ? encoding.label : undefined
  const documents = draftJsonDocument(decoder.decode(sample.head).replace(/^\ufeff/, ''), hints)
  const isDocument = documents.length > 0 && !/\.(?:jsonl|ndjson|log)$/i.test(input.name) && !isJsonLines(lines)
  const drafts = isDocument ? documents : draftText(lines, hints, label)
  const whole = isDocument ? sample.head : bytes
  return rank(drafts, input, { bytes: whole, isWhole: !isDocument || sample.pieces.length === 0 }, encoding, zone, text)
}

/** Objects on lines of their own are records; the first line of a document is not one. */
const isJsonLines = (lines: readonly string[]): boolean => {
  const [first, second] = lines.filter(line => line.trim() !== '')
  return second !== undefined && [first, second].every(line => /^\s*\{.*\}\s*$/.test(line ?? ''))
}

const draftText = (lines: readonly string[], hints: Hints, encoding: string | undefined): Draft[] => {
  const known = draftInstruments(lines, hints)
  if (known.length > 0) return known
  const jsonl = draftJsonl(lines, hints, encoding)
  if (jsonl) return [jsonl]
  const tables = findTables(lines).slice(0, 3)
  const drafts = tables.flatMap(table => {
    const draft = withMeaning(draftCsv(table, lines, hints, encoding))
    const known = presetDraft(table, draft) ?? imageDraft(table, draft, hints)
    return known ? [known, draft] : [draft]
  })
  const isTable = tables.some(table => table.score >= tableScoreMin && /[,;\t|]/.test(table.delimiter))
  drafts.push(...draftLines(lines, hints, encoding, isTable))
  const single = isTable ? undefined : singleColumn(lines)
  if (single) drafts.push(draftCsv(single, lines, hints, encoding))
  return drafts
}

/** Tries each draft on the sample and puts the best first. */
const rank = async (
  drafts: readonly Draft[],
  input: SniffInput,
  bytes: TrialBytes | undefined,
  encoding: TextEncoding | undefined,
  zone: string | undefined,
  text = '',
): Promise<SniffResult> => {
  const tried: { draft: Draft; trial: Trial; score: number }[] = []
  for (const draft of drafts) {
    const trial = await tryDraft(draft, input.name, zone, bytes, input.file, input.nowMs)
    tried.push({ draft, trial, score: scoreOf(trial, draft) })
  }
  const best = Math.max(...tried.map(({ score }) => score))
  const good = tried.filter(({ score }) => score > scoreMin && score >= best * 0.5).sort((a, b) => b.score - a.score)
  const proposals = good
    .slice(0, proposalsMax)
    .map(({ draft, trial, score }) => proposalOf(draft, trial, score, input, encoding, zone, text))
  if (proposals.length > 0) return { proposals }
  const [first] = tried
  const why = first?.trial.problem ?? first?.trial.firstReject?.reason
  return {
    proposals,
    reason:
      why === undefined ? 'no table, record or regular line was found in the file' : `no row could be read: ${why}`,
  }
}

const proposalOf = (
  draft: Draft,
  trial: Trial,
  score: number,
  input: SniffInput,
  encoding: TextEncoding | undefined,
  zone: string | undefined,
  text: string,
): Proposal => {
  const device = draft.device ?? deviceOf(input.name)
  const local = zoneFindings(draft, zone, text, encoding?.label)
  const doubts = [...(encoding?.doubts ?? []), ...rejectDoubts(trial), ...local.doubts, ...draft.doubts]
  return {
    format: draft.format,
    source: {
      kind: draft.kind,
      pattern: draft.onlyThis ? input.name.replace(/[\\?*[\]{}!()]/g, '?') : patternOf(input.name),
      ...(device !== undefined && { device }),
      stream: draft.stream,
      ...(zone !== undefined && { zone }),
    },
    doubts:
      doubts.length <= doubtsMax ? doubts : [...doubts.slice(0, doubtsMax), moreDoubts(doubts.length - doubtsMax)],
    findings: [...(encoding ? [encoding.finding] : []), ...draft.findings, ...local.findings],
    confidence: Math.round(Math.min(1, score) * 100) / 100,
  }
}

const moreDoubts = (n: number): Doubt => ({ path: ['format'], text: `${n} more doubts of this kind are left out here` })

const rejectDoubts = ({ rows, rejects, firstReject }: Trial): Doubt[] => {
  if (rejects === 0 || !firstReject) return []
  const { origin, reason } = firstReject
  const text = `${rejects} of ${rows + rejects} rows of the sample are rejects, the first in line ${origin.firstLine ?? 0}: ${reason}`
  return [{ path: ['format'], text }]
}

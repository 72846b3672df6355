/** Asks for each series at every tick of the clock; what failed is asked again until the next tick. */
import type { Frame, Json, Reject } from '@penstock/frame'
import { createAlarm } from '../../alarm.ts'
import { type HttpAnswer, HttpProblem } from '../../http-request.ts'
import type { Batch, Cursor, SourceDeps } from '../../source.ts'
import {
  type Asking,
  backoffMs,
  hashOf,
  inParallel,
  refusalOf,
  type Series,
  type Settings,
  type Troubles,
  timeValues,
} from './asking.ts'

/** What is known of a series' last answer, and kept with its rows. */
interface Last {
  hash?: string
  etag?: string
  modified?: string
}
/** Answers that are held at a time, before they are handed on. */
const heldBytesMax = 16 * 1024 * 1024
const waitPieceMsMax = 60_000

export async function* poll(
  options: Settings,
  all: readonly Series[],
  asking: Asking,
  troubles: Troubles,
  deps: SourceDeps,
  resume: Cursor,
  signal: AbortSignal,
  heard: () => void,
): AsyncGenerator<Batch> {
  const { everyMs, offsetMs, parallelMax, retryMsMax } = options
  const nowMs = () => deps.now().getTime()
  const alarm = createAlarm()
  const host = new URL(options.url).host
  const skips = options.repeats === 'skip' || (options.repeats === 'auto' && options.format.time !== undefined)
  const lasts = new Map(all.map(series => [series.key, lastOf(resume[`poll:${series.key}`])]))
  const nextTick = () => Math.floor((nowMs() - offsetMs) / everyMs) * everyMs + everyMs + offsetMs

  /** Asks for what is due and hands on what came; leaves in `due` what failed. Returns for how long to leave it alone. */
  async function* askAll(due: Set<Series>, failures: number): AsyncGenerator<Batch, number> {
    let frames: Frame[] = []
    let rejects: Reject[] = []
    let cursor: Record<string, Json> = {}
    let bytes = 0
    let retryAfterMs = 0
    const take = (series: Series, answer: HttpAnswer) => {
      const had = lasts.get(series.key) ?? {}
      if (answer.status === 304 || answer.status === 204) return
      const hash = hashOf(answer.body)
      if (skips && hash === had.hash) return
      const decoded = asking.decode(series, answer.body, BigInt(nowMs()) * 1_000_000n)
      bytes += answer.body.length
      frames.push(...decoded.frames)
      rejects.push(...decoded.rejects)
      if (!skips) return
      const { etag, lastModified } = answer
      const last = {
        hash,
        ...(etag !== undefined && { etag }),
        ...(lastModified !== undefined && { modified: lastModified }),
      }
      lasts.set(series.key, last)
      cursor[`poll:${series.key}`] = last
    }
    const askOne = async (series: Series) => {
      try {
        const local = nowMs() + series.zone.offsetMs(nowMs())
        const time = timeValues(local, nowMs(), nowMs())
        const answer = await asking.ask(series, time, skips ? conditions(lasts.get(series.key)) : {}, signal)
        heard()
        if (answer.status >= 400 || (answer.status >= 300 && answer.status !== 304)) {
          retryAfterMs = Math.max(retryAfterMs, answer.retryAfterMs ?? 0)
          troubles.set(series.key, `${series.label}: ${refusalOf(host, answer)}`)
          return
        }
        take(series, answer)
        due.delete(series)
        troubles.set(series.key, undefined)
      } catch (error) {
        // What has come until then is handed on below.
        if (signal.aborted) return
        if (!(error instanceof HttpProblem)) throw error
        troubles.set(series.key, `${series.label}: ${error.message}`)
      }
    }
    for (let rest = [...due]; rest.length > 0 && !signal.aborted; ) {
      const asked = new Set<Series>()
      await inParallel(
        rest,
        parallelMax,
        () => bytes >= heldBytesMax || signal.aborted,
        async series => {
          asked.add(series)
          await askOne(series)
        },
      )
      if (frames.length + rejects.length > 0 || Object.keys(cursor).length > 0)
        yield { frames, rejects, ledger: [], cursor }
      frames = []
      rejects = []
      cursor = {}
      bytes = 0
      rest = rest.filter(series => !asked.has(series))
    }
    return backoffMs(failures + 1, retryMsMax, retryAfterMs)
  }

  // The first time at once: a person who looks on sees that it works.
  while (!signal.aborted) {
    const due = new Set(all)
    const tick = nextTick()
    for (let failures = 0; due.size > 0 && !signal.aborted; failures++) {
      const waitMs = yield* askAll(due, failures)
      if (due.size === 0 || nowMs() + waitMs >= tick) break
      await alarm.wait(waitMs, signal)
    }
    // In pieces, for the clock may be set.
    for (let restMs = tick - nowMs(); restMs > 0 && restMs <= everyMs && !signal.aborted; restMs = tick - nowMs())
      await alarm.wait(Math.min(restMs, waitPieceMsMax), signal)
  }
}

const conditions = (last: Last = {}): Record<string, string> => ({
  ...(last.etag !== undefined && { 'if-none-match': last.etag }),
  ...(last.modified !== undefined && { 'if-modified-since': last.modified }),
})

const lastOf = (state: Json | undefined): Last => {
  if (typeof state !== 'object' || state === null || Array.isArray(state)) return {}
  const found: Record<string, string> = {}
  for (const [key, value] of Object.entries(state)) if (typeof value === 'string') found[key] = value
  return found
}

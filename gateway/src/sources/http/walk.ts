/**
 * Asks for one time after the other (an hour of a store, a day of a station), each series at its own place:
 *
 *     start ──asked, stored──► next ──due when it is over──► now
 *                         └─ `again`: the last steps are asked for now and then; what has changed is stored again
 *
 * Steps are those of the local clock: one that the clocks skip is not asked for, one that they repeat is asked for once and
 * flagged, for the server knows but one. The place of each series is its cursor: durable with the rows before it.
 */
import { STATUS_DST_AMBIGUOUS } from '@penstock/formats'
import type { Frame, Json, Reject } from '@penstock/frame'
import { createAlarm } from '../../alarm.ts'
import { mergeFrames } from '../../frame-merger.ts'
import { type HttpAnswer, HttpProblem } from '../../http-request.ts'
import type { Batch, Cursor, SourceDeps } from '../../source.ts'
import {
  type Asking,
  backoffMs,
  hashOf,
  inParallel,
  isUnavailable,
  refusalOf,
  type Series,
  type Settings,
  saidBy,
  type Troubles,
  timeValues,
  withStatus,
} from './asking.ts'
import { endOf, localMs, localText, startsOf, stepMsOf } from './steps.ts'

const limits = {
  /** Requests of one round, of which at most so many for one series. */
  roundAsksMax: 512,
  seriesAsksMax: 64,
  /** No request of a round begins later, so that rows do not wait for it. */
  roundMsMax: 2000,
  roundBytesMax: 16 * 1024 * 1024,
  /** So often a step is asked for in vain before the server's fault may be the step's. */
  triesMax: 3,
  waitPieceMsMax: 60_000,
}

/** Where to look for the beginning of a series: of hours, the next, 6 h, a day, a week, a month and a year later. */
const laterSteps = [1, 6, 24, 168, 744, 8760]

interface Walker {
  series: Series
  /** Local time of the next step, as if it were UTC. */
  next: number
  /** The server has known this series. */
  known: boolean
  failures: number
  /** Of the clock that nobody sets. */
  heldUntilMs: number
  /** What the last steps were answered, for `again`: hash by local time. */
  last: Map<string, string>
}

interface Ask {
  walker: Walker
  local: number
  /** UTC of the step; two where the clocks repeat it. */
  utc: readonly number[]
  /** From when on it may be asked for. */
  dueMs: number
  result?: { answer: HttpAnswer } | { problem: HttpProblem }
}

/** What all parts of a walk know. */
interface Walk {
  options: Settings & { walk: NonNullable<Settings['walk']> }
  asking: Asking
  troubles: Troubles
  host: string
  stepMs: number
  nowMs(): number
  /** The server has answered. */
  heard(): void
  signal: AbortSignal
}

/** Which steps are due, and what the server says of them. */
const createAsker = ({ options, asking, stepMs, nowMs, heard, signal }: Walk) => {
  const { delayMs, notYetMs, notFound } = options.walk

  /** The steps from a local time on that are over, without those that the clocks skip. */
  const stepsOf = (walker: Walker, from: number, stepsMax: number): Ask[] => {
    const asks: Ask[] = []
    for (let local = from; asks.length < stepsMax; local += stepMs) {
      const utc = startsOf(walker.series.zone, local, stepMs)
      const dueMs = endOf(walker.series.zone, local, stepMs) + delayMs
      if (dueMs > nowMs()) break
      if (utc.length > 0) asks.push({ walker, local, utc, dueMs })
    }
    return asks
  }

  const askOne = async (ask: Ask): Promise<void> => {
    const { walker, local, utc } = ask
    const from = utc[0] ?? 0
    try {
      const time = timeValues(local, from, from + stepMs)
      const answer = await asking.ask(walker.series, time, {}, signal)
      heard()
      ask.result = { answer }
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof HttpProblem)) throw error
      ask.result = { problem: error }
    }
  }
  /** Asks in order until the round has lasted long enough; behind a failure, its series is not asked any further. */
  const askAll = async (asks: readonly Ask[]): Promise<void> => {
    const began = performance.now()
    let bytes = 0
    const failed = new Set<Walker>()
    let isDown = false
    const isEnough = () =>
      signal.aborted || isDown || bytes >= limits.roundBytesMax || performance.now() - began >= limits.roundMsMax
    await inParallel(asks, options.parallelMax, isEnough, async ask => {
      if (failed.has(ask.walker)) return
      await askOne(ask)
      if (isGood(ask)) bytes += ask.result.answer.body.length
      else if (!isSkipped(ask)) failed.add(ask.walker)
      isDown ||= isServerGone(ask)
    })
  }

  const isLongOver = (ask: Ask): boolean => nowMs() - ask.dueMs >= notYetMs
  /** The server has nothing for a time of a series that it knows, and that is what it means. */
  const isSkipped = (ask: Ask): boolean => notFound === 'skip' && ask.walker.known && isNotFound(ask) && isLongOver(ask)

  return { stepsOf, askOne, askAll, isLongOver, isSkipped }
}
type Asker = ReturnType<typeof createAsker>

/** What one round has brought: rows, rejects, and the places of the series behind them. */
const createRounds = ({ options, asking, stepMs }: Walk) => {
  const { again } = options.walk

  const cursorOf = (walker: Walker): Json => {
    if (again) {
      const oldest = localText(walker.next - again.steps * stepMs)
      for (const key of walker.last.keys()) if (key < oldest) walker.last.delete(key)
    }
    return {
      from: options.walk.start,
      next: localText(walker.next),
      known: walker.known,
      ...(again && { last: Object.fromEntries(walker.last) }),
    }
  }

  const round = () => {
    const frames: Frame[] = []
    const rejects: Reject[] = []
    const moved = new Set<Walker>()
    return {
      take(ask: Ask, answer: HttpAnswer) {
        const { walker, local, utc } = ask
        const hash = hashOf(answer.body)
        const key = localText(local)
        if (again && walker.last.get(key) === hash) return
        const decoded = asking.decode(walker.series, answer.body, BigInt(utc[0] ?? 0) * 1_000_000n)
        frames.push(...(utc.length > 1 ? decoded.frames.map(f => withStatus(f, STATUS_DST_AMBIGUOUS)) : decoded.frames))
        rejects.push(...decoded.rejects)
        if (again) walker.last.set(key, hash)
        moved.add(walker)
      },
      reject: (walker: Walker, reason: string, answer: HttpAnswer) =>
        void rejects.push(asking.reject(walker.series, reason, answer.body)),
      pass(walker: Walker, local: number) {
        walker.next = local + stepMs
        moved.add(walker)
      },
      batch(): Batch | undefined {
        if (moved.size === 0) return undefined
        const cursor = Object.fromEntries([...moved].map(walker => [cursorKey(walker.series), cursorOf(walker)]))
        return { frames: mergeFrames(frames), rejects, ledger: [], cursor }
      },
    }
  }
  return round
}
type Round = ReturnType<ReturnType<typeof createRounds>>

/** Whose fault it is that a step brought nothing, and how long to leave server and series alone. */
const createJudge = (walking: Walk, { stepsOf, askOne, isLongOver }: Asker) => {
  const { options, troubles, host, stepMs } = walking
  const { retryMsMax } = options
  const { notFound } = options.walk

  const server = { failures: 0, heldUntilMs: 0 }
  /** It cannot be reached, or asks to be left alone: nobody is asked for. */
  const holdServer = (problem: string, retryAfterMs = 0): void => {
    // Several requests of one round may have met it.
    if (server.heldUntilMs > performance.now()) return
    server.failures++
    server.heldUntilMs = performance.now() + backoffMs(server.failures, retryMsMax, retryAfterMs)
    troubles.set('server', problem)
  }
  const hold = (walker: Walker, problem: string | undefined, retryAfterMs = 0): void => {
    walker.failures++
    walker.heldUntilMs = performance.now() + backoffMs(walker.failures, retryMsMax, retryAfterMs)
    troubles.set(walker.series.key, problem)
  }

  /** The first step of a series that brought nothing: whose fault is it, and does the walk go on behind it? */
  const settleFailure = async (ask: Ask, into: Round): Promise<void> => {
    const { walker, local, result } = ask
    if (!result) return
    if ('problem' in result) {
      const { message, isUnreachable } = result.problem
      return isUnreachable ? holdServer(message) : hold(walker, `${walker.series.label}: ${message}`)
    }
    const { answer } = result
    if (isUnavailable(answer)) return holdServer(refusalOf(host, answer), answer.retryAfterMs)
    const about = `${walker.series.label}: ${localText(local)}`
    if (isNotFound(ask)) {
      const isRecent = !isLongOver(ask)
      if (walker.known && isRecent) return hold(walker, undefined)
      const said = `(${saidBy(answer)})`
      if (!walker.known && !(await answersLater(ask))) {
        const maybe = isRecent ? 'has nothing for it yet, or ' : ''
        return hold(walker, `${about}: ${host} ${maybe}does not know this series ${said}; check its names`)
      }
      walker.known = true
      if (notFound === 'skip') return into.pass(walker, local)
      const what = 'and it is long over; say a later "start", or "notFound: skip" to go on behind it'
      return hold(walker, `${about}: ${host} has nothing for it ${said}, ${what}`)
    }
    if (answer.status >= 500 && walker.failures + 1 >= limits.triesMax) {
      if (await answersBeside(ask)) {
        into.reject(walker, `${host} cannot answer for ${localText(local)} alone (${saidBy(answer)})`, answer)
        walker.failures = 0
        return into.pass(walker, local)
      }
    }
    hold(walker, `${about}: ${refusalOf(host, answer)}`, answer.retryAfterMs)
  }
  /** Whether the server has anything for a later step: then it knows the series, and its data begins there. */
  const answersLater = async ({ walker, local }: Ask): Promise<boolean> => {
    for (const steps of laterSteps) {
      const [ask] = stepsOf(walker, local + steps * stepMs, 1)
      if (!ask) return false
      await askOne(ask)
      if (isGood(ask)) return true
    }
    return false
  }
  /** Whether the server answers for the step before or behind: then the fault is not the server's. */
  const answersBeside = async ({ walker, local }: Ask): Promise<boolean> => {
    for (const beside of [local - stepMs, local + stepMs]) {
      const [ask] = stepsOf(walker, beside, 1)
      if (!ask || ask.local !== beside) continue
      await askOne(ask)
      if (isGood(ask)) return true
    }
    return false
  }

  return {
    settleFailure,
    answered(walker: Walker): void {
      walker.known = true
      walker.failures = 0
      server.failures = 0
      troubles.set('server', undefined)
      troubles.set(walker.series.key, undefined)
    },
    /** For how long nobody may be asked for it. */
    heldMs: (walker: Walker) => Math.max(walker.heldUntilMs, server.heldUntilMs) - performance.now(),
  }
}

export async function* walk(
  options: Walk['options'],
  all: readonly Series[],
  asking: Asking,
  troubles: Troubles,
  deps: SourceDeps,
  resume: Cursor,
  signal: AbortSignal,
  heard: () => void,
): AsyncGenerator<Batch> {
  const { delayMs, again } = options.walk
  const stepMs = stepMsOf[options.walk.step]
  const nowMs = () => deps.now().getTime()
  const walking = { options, asking, troubles, host: new URL(options.url).host, stepMs, nowMs, heard, signal }
  const asker = createAsker(walking)
  const { stepsOf, askAll, isSkipped } = asker
  const round = createRounds(walking)
  const { settleFailure, answered, heldMs } = createJudge(walking, asker)
  const walkers = all.map(series => walkerOf(series, options.walk.start, resume[cursorKey(series)]))
  // Nothing may be due for a day: it was heard in an earlier life.
  if (walkers.some(walker => walker.known)) heard()
  const againAt = () =>
    again ? Math.floor(nowMs() / again.everyMs) * again.everyMs + again.everyMs : Number.POSITIVE_INFINITY
  const alarm = createAlarm()

  /** New steps of all series, one rank of all series before the next rank. */
  const newSteps = (): Ask[] => {
    const lists = walkers.filter(w => heldMs(w) <= 0).map(w => stepsOf(w, w.next, limits.seriesAsksMax))
    const asks: Ask[] = []
    for (let rank = 0; rank < limits.seriesAsksMax; rank++) {
      for (const list of lists) {
        const ask = list[rank]
        if (ask && asks.length < limits.roundAsksMax) asks.push(ask)
      }
    }
    return asks
  }
  const forward = async (asks: readonly Ask[]): Promise<Round> => {
    await askAll(asks)
    const into = round()
    const ended = new Set<Walker>()
    for (const ask of asks) {
      const { walker } = ask
      if (ended.has(walker)) continue
      if (isGood(ask)) {
        answered(walker)
        into.take(ask, ask.result.answer)
        into.pass(walker, ask.local)
        continue
      }
      if (isSkipped(ask)) {
        into.pass(walker, ask.local)
        continue
      }
      ended.add(walker)
      if (!signal.aborted) await settleFailure(ask, into)
    }
    return into
  }

  /** The steps that were walked last, of every series that is known. A failure is no trouble: they were answered once. */
  async function* askAgain(steps: number): AsyncGenerator<Batch> {
    const asks = walkers.flatMap(w =>
      w.known
        ? stepsOf(w, Math.max(w.next - steps * stepMs, localMs(options.walk.start)), steps).filter(
            a => a.local < w.next,
          )
        : [],
    )
    while (asks.length > 0 && !signal.aborted) {
      const some = asks.splice(0, limits.roundAsksMax)
      await askAll(some)
      const isBroken = some.some(ask => ask.result && !isGood(ask))
      asks.unshift(...some.filter(ask => !ask.result))
      const into = round()
      for (const ask of some) if (isGood(ask)) into.take(ask, ask.result.answer)
      const batch = into.batch()
      if (batch) yield batch
      // They come again with the next time.
      if (isBroken) return
    }
  }

  let correctMs = againAt()
  while (!signal.aborted) {
    if (again && nowMs() >= correctMs) {
      yield* askAgain(again.steps)
      correctMs = againAt()
    }
    const asks = newSteps()
    const batch = asks.length > 0 ? (await forward(asks)).batch() : undefined
    if (batch) yield batch
    else {
      const restMs = walkers.map(w => {
        return Math.max(heldMs(w), endOf(w.series.zone, w.next, stepMs) + delayMs - nowMs())
      })
      await alarm.wait(Math.max(1, Math.min(limits.waitPieceMsMax, correctMs - nowMs(), ...restMs)), signal)
    }
  }
}

const isGood = (ask: Ask): ask is Ask & { result: { answer: HttpAnswer } } =>
  ask.result !== undefined && 'answer' in ask.result && ask.result.answer.status < 300

const isNotFound = ({ result }: Ask): boolean =>
  result !== undefined && 'answer' in result && (result.answer.status === 404 || result.answer.status === 410)
const isServerGone = ({ result }: Ask): boolean =>
  result !== undefined && ('problem' in result ? result.problem.isUnreachable : isUnavailable(result.answer))

const cursorKey = (series: Series): string => `walk:${series.key}`
/** Where the series stood; from the start again where the start is earlier than it was. */
const walkerOf = (series: Series, start: string, state: Json | undefined): Walker => {
  const had =
    typeof state === 'object' && state !== null && !Array.isArray(state) ? (state as Record<string, Json>) : {}
  const goesOn = typeof had.next === 'string' && typeof had.from === 'string' && had.from <= start
  const last =
    goesOn && typeof had.last === 'object' && had.last !== null
      ? Object.entries(had.last as Record<string, string>)
      : []
  // A later start skips what is between: that is what it says.
  const next = goesOn && localMs(had.next as string) > localMs(start) ? (had.next as string) : start
  return { series, next: localMs(next), known: had.known === true, failures: 0, heldUntilMs: 0, last: new Map(last) }
}

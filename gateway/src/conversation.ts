/**
 * Command and answer on a line that several devices may share. One command is under way at a time:
 *
 *     idle ─ round is due ─► sending ─ written ─► waiting ─ all answers ─► pacing ─► next command … ─► idle
 *                               ▲                    └─ time-out ─► settling ─► again, or given up ─► pacing
 *                               └───────────────────────────────────────┘
 *
 * A late answer must not be taken for the answer to the next command. So after a time-out the line is left alone for
 * `lateMs`, or until the late answer has come; and an answer that does not look like one (`expect`) is never taken. A device
 * that is silent is asked one command a round, once and after all others, so that it holds them up least.
 *
 * Nothing in here waits or reads a clock: the source calls `step` and says what time it is, after it has handed over what
 * came until then. So no time-out passes while a full spool holds the source up.
 */

/** One command to one device, and where its answers go. */
export interface Exchange<T> {
  target: T
  /** As a person knows it: `MEAS:VOLT?`. */
  label: string
  /** As a person knows the device: `psu (address 02)`. */
  deviceLabel: string
  bytes: Uint8Array
  /** What a line with an echo gives back of it, without its line end. */
  echo: Uint8Array
  /** What an answer looks like; others are refused, and the waiting goes on. */
  expect?: RegExp
  /** How many frames make the answer; 0: none comes. */
  answers: number
  answerMsMax: number
  retries: number
}

export interface ConversationOptions<T> {
  exchanges: readonly Exchange<T>[]
  everyMs: number
  /** Rounds begin at multiples of `everyMs` since the epoch. */
  isAligned: boolean
  pacingMs: number
  /** Default: the time-out of the command. */
  lateMs?: number | undefined
  /** The line gives back what is sent: such frames are passed over. */
  hasEcho: boolean
}

export interface ConversationPort {
  /** Writes to the line; `done` is called when the bytes are on their way. */
  write(bytes: Uint8Array, done: () => void): void
  /** The line is about to be used: bytes of an unfinished frame are nobody's answer. */
  beforeSend(): void
}

export interface Conversation<T> {
  /** Moves on as far as it can at this time. Returns in how many ms it wants to be called again, if nothing comes before. */
  step(nowMs: number): number
  /** Whether a frame is but the echo of what was sent. To be asked once a frame, before `take`. */
  isEcho(frame: Uint8Array): boolean
  /** Whose answer a frame is, or why it is nobody's. */
  take(frame: Uint8Array, nowMs: number): { target: T } | { problem: string }
  /** Devices that do not answer, one sentence each, and how many devices there are. */
  silent(): { sentences: string[]; deviceCount: number }
}

type State<T> =
  | { is: 'idle'; untilMs: number }
  | { is: 'sending'; exchange: Exchange<T>; left: number; tries: number; written: boolean }
  | { is: 'waiting'; exchange: Exchange<T>; left: number; tries: number; untilMs: number }
  | { is: 'settling'; exchange: Exchange<T>; left: number; tries: number; untilMs: number }
  | { is: 'pacing'; untilMs: number }

/** While nothing is due, and a write is awaited, the conversation is looked at this often. */
const lookMsMax = 1000
const echoesMax = 16

/** When the next round begins. Rounds that were missed are not made up for. */
export const nextRoundMs = (startMs: number, nowMs: number, everyMs: number, isAligned: boolean): number => {
  const origin = isAligned ? 0 : startMs
  const next = origin + (Math.floor((startMs - origin) / everyMs) + 1) * everyMs
  return next >= nowMs ? next : origin + Math.ceil((nowMs - origin) / everyMs) * everyMs
}

export const createConversation = <T>(
  options: ConversationOptions<T>,
  port: ConversationPort,
  startMs: number,
): Conversation<T> => {
  const { exchanges, everyMs, isAligned, pacingMs, hasEcho } = options
  const commandsOf = (deviceLabel: string) => exchanges.filter(e => e.deviceLabel === deviceLabel)
  const labels = [...new Set(exchanges.map(({ deviceLabel }) => deviceLabel))]
  const devices = new Map(labels.map(label => [label, createAttendance(startMs, commandsOf(label).length)]))
  const attendance = ({ deviceLabel }: Exchange<T>) => devices.get(deviceLabel) as ReturnType<typeof createAttendance>
  let round: Exchange<T>[] = []
  let roundStartMs = startMs
  let lastMs = startMs
  let lastAsked: Exchange<T> | undefined
  let echoes: Uint8Array[] = []
  let state: State<T> = { is: 'idle', untilMs: isAligned ? nextRoundMs(startMs - 1, startMs, everyMs, true) : startMs }

  const send = (exchange: Exchange<T>, tries: number): void => {
    port.beforeSend()
    const sending: State<T> = { is: 'sending', exchange, left: exchange.answers, tries, written: false }
    state = sending
    lastAsked = exchange
    if (hasEcho) echoes = [...echoes, exchange.echo].slice(-echoesMax)
    port.write(exchange.bytes, () => {
      sending.written = true
    })
  }
  const beginRound = (nowMs: number): void => {
    roundStartMs = nowMs
    const answering = exchanges.filter(exchange => !attendance(exchange).isSilent())
    const silent = [...devices].filter(([, device]) => device.isSilent())
    round = [...answering, ...silent.flatMap(([label, device]) => commandsOf(label)[device.nextTurn()] ?? [])]
  }
  const goOn = (nowMs: number): void => {
    if (round.length > 0) state = { is: 'pacing', untilMs: nowMs + pacingMs }
    else
      state = { is: 'idle', untilMs: Math.max(nowMs + pacingMs, nextRoundMs(roundStartMs, nowMs, everyMs, isAligned)) }
  }
  const giveUp = (exchange: Exchange<T>, tries: number, nowMs: number): void => {
    const device = attendance(exchange)
    if (tries <= exchange.retries && !device.isUnanswered(exchange.label)) {
      send(exchange, tries + 1)
      return
    }
    device.missed(exchange.label)
    // What one command tells of a silent device, the others of this round need not tell again.
    if (device.isSilent()) round = round.filter(e => e.deviceLabel !== exchange.deviceLabel)
    goOn(nowMs)
  }

  /** One transition; whether there was one. */
  const move = (nowMs: number): boolean => {
    switch (state.is) {
      case 'idle':
      case 'pacing': {
        if (nowMs < state.untilMs) return false
        if (state.is === 'idle') beginRound(nowMs)
        const next = round.shift()
        if (next) send(next, 1)
        else goOn(nowMs)
        return next !== undefined
      }
      case 'sending': {
        if (!state.written) return false
        const { exchange, left, tries } = state
        if (left > 0) state = { is: 'waiting', exchange, left, tries, untilMs: nowMs + exchange.answerMsMax }
        else goOn(nowMs)
        return true
      }
      case 'waiting': {
        if (nowMs < state.untilMs) return false
        const lateMs = options.lateMs ?? (state.exchange.expect ? 0 : state.exchange.answerMsMax)
        state = { ...state, is: 'settling', untilMs: nowMs + lateMs }
        return true
      }
      case 'settling':
        if (nowMs < state.untilMs) return false
        giveUp(state.exchange, state.tries, nowMs)
        return true
    }
  }

  const take: Conversation<T>['take'] = (frame, nowMs) => {
    if (state.is === 'settling') {
      const { exchange, left } = state
      if (!looksRight(exchange, frame))
        return { problem: `this is no answer to ${exchange.label} (${exchange.deviceLabel})` }
      attendance(exchange).heard(nowMs)
      // The last of the late frames ends the settling: nothing more is under way.
      if (left <= 1) state = { ...state, left: 0, untilMs: nowMs }
      else state = { ...state, left: left - 1 }
      return {
        problem: `the answer to ${exchange.label} (${exchange.deviceLabel}) came later than ${exchange.answerMsMax} ms`,
      }
    }
    if (state.is === 'idle' || state.is === 'pacing' || state.left === 0) {
      const last = lastAsked ? `; the last command was ${lastAsked.label} (${lastAsked.deviceLabel})` : ''
      return { problem: `this came when no answer was awaited${last}` }
    }
    const { exchange, left } = state
    if (!looksRight(exchange, frame))
      return { problem: `this is no answer to ${exchange.label} (${exchange.deviceLabel})` }
    attendance(exchange).answered(exchange.label, nowMs)
    state.left = left - 1
    if (state.left === 0 && state.is === 'waiting') goOn(nowMs)
    return { target: exchange.target }
  }

  return {
    step(nowMs) {
      // A clock that was set back must not make the line wait for the time that it was set back by.
      if (nowMs < lastMs && 'untilMs' in state) state.untilMs -= lastMs - nowMs
      lastMs = nowMs
      // A round may be long; a step is not: transitions beyond those of one command come with the next call.
      for (let i = 0; i < 8 && move(nowMs); i++);
      return 'untilMs' in state ? Math.max(0, Math.min(state.untilMs - nowMs, lookMsMax)) : lookMsMax
    },
    isEcho(frame) {
      const found = echoes.findIndex(echo => isSame(frame, echo))
      if (found < 0) return false
      echoes = echoes.slice(found + 1)
      return true
    },
    take,
    silent: () => ({
      deviceCount: devices.size,
      sentences: [...devices].flatMap(([label, device]) => device.sentences(label)),
    }),
  }
}

const looksRight = <T>({ expect }: Exchange<T>, frame: Uint8Array): boolean =>
  expect?.test(Buffer.from(frame).toString('latin1')) ?? true

/** The same bytes but for line ends and blanks at the end. */
const isSame = (frame: Uint8Array, sent: Uint8Array): boolean => {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1').trimEnd()
  return frame.length > 0 && text(frame) === text(sent)
}

/** Whether a device answers, command by command. */
const createAttendance = (startMs: number, commandCount: number) => {
  let heardAtMs: number | undefined
  let misses = 0
  let turn = 0
  /** Commands whose last try had no answer. */
  const unanswered = new Set<string>()
  // One command that a device does not know makes it no silent device.
  const isSilent = () => misses >= Math.min(2, commandCount)
  return {
    isSilent,
    isUnanswered: (label: string) => unanswered.has(label),
    /** Which of its commands a silent device is asked this time. */
    nextTurn: () => turn++ % commandCount,
    heard(nowMs: number): void {
      heardAtMs = nowMs
      misses = 0
    },
    answered(label: string, nowMs: number): void {
      heardAtMs = nowMs
      misses = 0
      unanswered.delete(label)
    },
    missed(label: string): void {
      misses++
      unanswered.add(label)
    },
    sentences(label: string): string[] {
      if (unanswered.size === 0) return []
      const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
      if (!isSilent()) return [`${label} answers, but not to ${[...unanswered].slice(0, 5).join(', ')}`]
      if (heardAtMs === undefined) return [`${label} has not answered since it was first asked at ${time(startMs)}`]
      return [`${label} does not answer; last heard at ${time(heardAtMs)}`]
    },
  }
}

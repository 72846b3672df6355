/**
 * Walks the bytes of one JSON document to its records and from one to the next, wherever the bytes are cut.
 *
 *     { "meta": {…}, "data": { "items": [ {…}, {…}, … ], "more": … } }
 *       └ passed over          └ path       └ records     └ passed over
 *
 * Only the structure is looked at: brackets, keys on the path, and where texts begin and end.
 */
import type { RowPlace } from './series.ts'

export interface Walk {
  /** Keys (or positions in lists) from the document to the records. */
  steps: readonly string[]
  /** The same as configured, for messages. */
  path: string
  recordBytesMax: number
  keyBytesMax: number
  /** How much of a broken document a reject shows. */
  excerptBytesMax: number
  /** bytes[start, end) is a record; `place` says where it stands. */
  record(start: number, end: number): void
  reject(reason: string, start: number, end: number): void
  place: RowPlace
}

type Mode =
  /** A value of the path is to come; or its records. */
  | 'value'
  /** In an object of the path: a key is to come. */
  | 'key'
  /** In a list of the path: an element is to come. */
  | 'element'
  | 'colon'
  /** Behind a member beside the path. */
  | 'next'
  /** In the list of records: one is to come. */
  | 'record'
  | 'separator'
  /** Within what is passed over. */
  | 'pass'
  /** Behind the records: the brackets around them are to close. */
  | 'rest'
  | 'end'
  /** Nothing that follows can be read: to be said, and said. */
  | 'breaking'
  | 'broken'

export interface WalkerState {
  mode: Mode
  /** Steps taken, and, where the last container is a list, the position of its element to come. */
  level: number
  index: number
  /** Containers of the path that are open. */
  open: number
  /** What is passed over: brackets open within it, and whether a text or a bare value is. */
  depth: number
  within: 'nothing' | 'brackets' | 'text' | 'bare'
  escaped: boolean
  /** Where to go on behind it. */
  after: Mode
  /** The key just read is the next step. */
  matches: boolean
  found: boolean
  started: boolean
  /** Why it breaks off, and where. */
  breaking: (RowPlace & { reason: string }) | null
  line: number
  /** The byte of the file at which the line begins. */
  lineByte: number
}

export interface Walker {
  /** Walks as far as whole records go. `base` is the file's byte at bytes[0]. Returns the position behind. */
  walk(bytes: Uint8Array, last: boolean, base: number, fileBytes: (from: number, to: number) => number): number
  /** Lines ended so far. */
  line(): number
  /** In bytes from 1, where the record at hand begins. */
  column(): number
  state(): WalkerState
}

const LF = 10
const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_LIST = 91
const BACKSLASH = 92
const CLOSE_LIST = 93
const OPEN_OBJECT = 123
const CLOSE_OBJECT = 125
const isBlank = (c: number): boolean => c === 32 || c === LF || c === 13 || c === 9
const isOpen = (c: number): boolean => c === OPEN_OBJECT || c === OPEN_LIST
const isClose = (c: number): boolean => c === CLOSE_OBJECT || c === CLOSE_LIST
/** What ends a bare value. */
const isEnd = (c: number): boolean => c === COMMA || isClose(c) || isBlank(c)

const beginning: WalkerState = {
  mode: 'value',
  level: 0,
  index: -1,
  open: 0,
  depth: 0,
  within: 'nothing',
  escaped: false,
  after: 'end',
  matches: false,
  found: false,
  started: false,
  breaking: null,
  line: 0,
  lineByte: 0,
}

/** More bytes are needed to say where a value ends; a line end within a text. */
const UNFINISHED = -1
const BROKEN_TEXT = -2

export const createWalker = (walk: Walk, resumed: WalkerState | undefined): Walker => {
  const s: WalkerState = { ...beginning, ...resumed }
  let bytes: Uint8Array = new Uint8Array(0)
  let fileBytes = (from: number, to: number): number => to - from
  let countedTo = 0
  let countedByte = 0
  let nextLf = 0
  let last = false
  let column = 0

  /** The byte of the file at a position; positions never go back. */
  const fileAt = (p: number): number => {
    countedByte += fileBytes(countedTo, p)
    countedTo = p
    return countedByte
  }
  /** Counts the lines before a position. */
  const countLines = (p: number): void => {
    while (nextLf >= 0 && nextLf < p) {
      s.line++
      s.lineByte = fileAt(nextLf + 1)
      nextLf = bytes.indexOf(LF, nextLf + 1)
    }
  }
  /** The document cannot be read on: because of what stands at `where`, in what began at `from`. */
  const breakOff = (where: number, reason: string, from = where): void => {
    setPlace(from, from)
    countLines(where)
    walk.place.lastLine = s.line + 1
    const said = `line ${s.line + 1}, column ${fileAt(where) - s.lineByte + 1}: ${reason}`
    s.breaking = { ...walk.place, reason: said }
    s.mode = 'breaking'
  }
  /** The reject shows as many bytes as it may, wherever they are cut. */
  const breakNow = (p: number): number => {
    const end = Math.min(bytes.length, p + walk.excerptBytesMax)
    if (!last && end < p + walk.excerptBytesMax) return UNFINISHED
    const { reason = '', ...place } = s.breaking ?? {}
    Object.assign(walk.place, place)
    walk.place.lastByte = walk.place.firstByte + fileBytes(p, end)
    s.mode = 'broken'
    walk.reject(reason, p, end)
    return end
  }
  const expected = (p: number, what: string): void => {
    const c = bytes[p] as number
    const shown = c > 32 && c < 127 ? `"${String.fromCharCode(c)}"` : `the byte ${c}`
    breakOff(p, `${shown} where ${what} is expected`)
  }

  /** Position behind the value at p, UNFINISHED or BROKEN_TEXT. */
  const valueEnd = (p: number): number => {
    const n = bytes.length
    let depth = 0
    let q = p
    while (q < n) {
      const c = bytes[q++] as number
      if (c === QUOTE) {
        q = textEnd(q)
        if (q < 0) return q
        if (depth === 0) return q
      } else if (c === OPEN_OBJECT || c === OPEN_LIST) depth++
      else if (c === CLOSE_OBJECT || c === CLOSE_LIST) {
        if (--depth === 0) return q
        if (depth < 0) return q - 1
      } else if (depth === 0 && isEnd(c)) return q - 1
    }
    return last && depth === 0 ? n : UNFINISHED
  }
  /** Position behind the quote that ends a text which began before q. */
  const textEnd = (q: number): number => {
    const n = bytes.length
    for (let i = q; i < n; i++) {
      const c = bytes[i] as number
      if (c === QUOTE) return i + 1
      if (c === BACKSLASH) i++
      else if (c === LF) {
        brokenAt = i
        return BROKEN_TEXT
      }
    }
    return UNFINISHED
  }
  let brokenAt = 0

  const passOver = (after: Mode): void => {
    s.mode = 'pass'
    s.within = 'nothing'
    s.depth = 0
    s.after = after
  }
  /** Passes over bytes from p; returns where it stopped. */
  const pass = (p: number): number => {
    const n = bytes.length
    let q = p
    while (q < n) {
      const c = bytes[q] as number
      if (s.within === 'text') {
        q++
        if (s.escaped) s.escaped = false
        else if (c === BACKSLASH) s.escaped = true
        else if (c === LF) {
          breakOff(q - 1, 'the line ends within a text')
          return q - 1
        } else if (c === QUOTE) {
          s.within = 'brackets'
          if (s.depth === 0) return ended(q)
        }
        continue
      }
      if (s.within === 'bare') {
        if (isEnd(c)) return ended(q)
        q++
        continue
      }
      if (s.within === 'nothing') {
        if (isBlank(c)) {
          q++
          continue
        }
        if (isEnd(c) || c === COLON) {
          expected(q, 'a value')
          return q
        }
        s.within = isOpen(c) || c === QUOTE ? 'brackets' : 'bare'
      }
      q++
      if (c === QUOTE) s.within = 'text'
      else if (isOpen(c)) s.depth++
      else if (isClose(c) && --s.depth === 0) return ended(q)
    }
    if (last && s.within === 'bare') return ended(q)
    return q
  }
  const ended = (q: number): number => {
    s.mode = s.after
    return q
  }
  const close = (): void => {
    s.open--
    // The path cannot be in a container that closed.
    s.mode = s.open === 0 ? 'end' : 'rest'
  }

  /** Takes the record at p; returns the position behind, or −1 where more bytes are needed. */
  const takeRecord = (p: number, after: Mode): number => {
    const end = valueEnd(p)
    const length = (end === UNFINISHED ? bytes.length : end === BROKEN_TEXT ? brokenAt : end) - p
    if (end === p) {
      expected(p, 'a record')
      return p
    }
    if (length > walk.recordBytesMax) {
      setPlace(p, p)
      walk.place.lastByte += fileBytes(p, p + walk.recordBytesMax)
      passOver(after)
      walk.reject(
        `the record is longer than ${walk.recordBytesMax} bytes; its rest is passed over`,
        p,
        p + walk.recordBytesMax,
      )
      return p
    }
    if (end === BROKEN_TEXT) {
      breakOff(brokenAt, 'the line ends within a text', p)
      return p
    }
    if (end === UNFINISHED) {
      if (!last) return UNFINISHED
      breakOff(p, 'the document ends within a record')
      return p
    }
    s.mode = after
    s.found = true
    if (isNull(p, end)) return end
    setPlace(p, end)
    walk.record(p, end)
    return end
  }
  const isNull = (p: number, end: number): boolean =>
    end - p === 4 && bytes[p] === 110 && bytes[p + 1] === 117 && bytes[p + 2] === 108 && bytes[p + 3] === 108
  const setPlace = (p: number, end: number): void => {
    countLines(p)
    walk.place.firstLine = s.line + 1
    walk.place.firstByte = fileAt(p)
    column = walk.place.firstByte - s.lineByte + 1
    countLines(end)
    walk.place.lastLine = s.line + 1
    walk.place.lastByte = fileAt(end)
  }

  /** The value of the path at p. */
  const stepInto = (p: number): number => {
    const c = bytes[p] as number
    if (s.level === walk.steps.length) {
      if (c !== OPEN_LIST) return takeRecord(p, s.open === 0 ? 'end' : 'rest')
      s.found = true
      s.open++
      s.mode = 'record'
      return p + 1
    }
    if (c === OPEN_OBJECT) {
      s.open++
      s.mode = 'key'
      s.index = -1
      return p + 1
    }
    if (c === OPEN_LIST) {
      s.open++
      s.index = 0
      s.mode = 'element'
      return p + 1
    }
    if (s.open === 0) expected(p, '"{" or "["')
    else passOver('rest')
    return p
  }
  /** In a list of the path: on to its element, or over it. */
  const toElement = (): void => {
    if (walk.steps[s.level] === String(s.index)) {
      s.level++
      s.index = -1
      s.mode = 'value'
    } else passOver('next')
  }

  const readKey = (p: number): number => {
    const c = bytes[p] as number
    if (c === CLOSE_OBJECT) {
      close()
      return p + 1
    }
    if (c !== QUOTE) {
      expected(p, 'a key')
      return p
    }
    const end = textEnd(p + 1)
    const length = (end === UNFINISHED ? bytes.length : end === BROKEN_TEXT ? brokenAt : end) - p
    if (length > walk.keyBytesMax) breakOff(p, `a key is longer than ${walk.keyBytesMax} bytes`)
    else if (end === BROKEN_TEXT) breakOff(brokenAt, 'the line ends within a text', p)
    else if (end === UNFINISHED && last) breakOff(p, 'the document ends within a key')
    if (end < 0 || s.mode === 'breaking') return s.mode === 'breaking' ? p : UNFINISHED
    s.matches = keyText(bytes.subarray(p, end)) === walk.steps[s.level]
    s.mode = 'colon'
    return end
  }

  /** One step from a byte that is not blank. */
  const step = (p: number): number => {
    const c = bytes[p] as number
    s.started = true
    switch (s.mode) {
      case 'value':
        return stepInto(p)
      case 'key':
        return readKey(p)
      case 'element':
        if (c !== CLOSE_LIST) toElement()
        else close()
        return c === CLOSE_LIST ? p + 1 : p
      case 'colon':
        if (c !== COLON) {
          expected(p, '":"')
          return p
        }
        if (s.matches) {
          s.level++
          s.mode = 'value'
        } else passOver('next')
        return p + 1
      case 'next':
        if (isClose(c)) {
          close()
          return p + 1
        }
        if (c !== COMMA) {
          expected(p, '"," or a closing bracket')
          return p
        }
        if (s.index < 0) s.mode = 'key'
        else {
          s.index++
          s.mode = 'element'
        }
        return p + 1
      case 'record':
        if (c !== CLOSE_LIST) return takeRecord(p, 'separator')
        close()
        return p + 1
      case 'separator':
        if (c === CLOSE_LIST) {
          close()
          return p + 1
        }
        if (c !== COMMA) {
          expected(p, '"," or "]"')
          return p
        }
        s.mode = 'record'
        return p + 1
      case 'rest':
        s.mode = 'pass'
        s.depth = s.open
        s.within = 'brackets'
        s.after = 'end'
        return p
      default:
        breakOff(p, 'more follows behind the document; one JSON text a line is read by the format jsonl')
        return p
    }
  }

  const endDocument = (): void => {
    if (s.mode === 'broken' || !s.started) return
    if (s.mode !== 'end') {
      breakOff(bytes.length, 'the document ends before its brackets are closed')
      breakNow(bytes.length)
    } else if (!s.found) {
      setPlace(bytes.length, bytes.length)
      walk.place.firstLine = 1
      walk.place.firstByte = 0
      walk.reject(`there is nothing at "${walk.path}", where the records are to stand`, 0, 0)
      s.mode = 'broken'
    }
  }

  const run: Walker['walk'] = (given, isLast, base, bytesOf) => {
    bytes = given
    fileBytes = bytesOf
    countedTo = 0
    countedByte = base
    nextLf = bytes.indexOf(LF)
    last = isLast
    const n = bytes.length
    let p = 0
    while (p < n && s.mode !== 'broken') {
      if (s.mode === 'pass') {
        p = pass(p)
        continue
      }
      if (s.mode === 'breaking') {
        const next = breakNow(p)
        if (next === UNFINISHED) break
        continue
      }
      if (isBlank(bytes[p] as number)) {
        p++
        continue
      }
      const next = step(p)
      if (next === UNFINISHED) break
      p = next
    }
    if (s.mode === 'breaking') return p
    if (s.mode === 'broken') return n
    countLines(p)
    if (last) endDocument()
    return p
  }
  return { walk: run, line: () => s.line, column: () => column, state: () => ({ ...s }) }
}

const keyText = (bytes: Uint8Array): string | undefined => {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as string
  } catch {
    return undefined
  }
}

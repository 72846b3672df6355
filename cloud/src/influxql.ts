/**
 * InfluxQL as Grafana's InfluxDB datasource speaks it, read into a tree. Pure: no clock, no data.
 *
 * The subset: `SHOW DATABASES | RETENTION POLICIES | MEASUREMENTS | FIELD KEYS | TAG KEYS | TAG VALUES`, and
 *
 *     SELECT field | *, mean|min|max|sum|count|first|last|spread(field), arithmetic [AS alias] FROM "measurement" | /regex/, …
 *     [WHERE time …, tags and fields with = != <> < <= > >= =~ !~, AND, OR, ( )]
 *     [GROUP BY time(interval [, offset]), tags, * [fill(null | none | previous | linear | number)]]
 *     [ORDER BY time ASC | DESC] [LIMIT n] [OFFSET n] [SLIMIT n] [SOFFSET n] [tz('Europe/London')]
 *
 * Grammar: https://docs.influxdata.com/influxdb/v1/query_language/spec/. What is beyond the subset is refused by name.
 */

/** The query is not understood, or asks for more than is given. The message is for the person who wrote the query. */
export class InfluxQlError extends Error {
  override name = 'InfluxQlError'
}

export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '=~'
  | '!~'
  | 'and'
  | 'or'
export type Expression =
  | { kind: 'number'; value: number }
  /** Whole numbers: a time in ns has more digits than a double. */
  | { kind: 'integer'; value: bigint }
  | { kind: 'duration'; ns: bigint }
  | { kind: 'string'; value: string }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'regex'; value: RegExp }
  | { kind: 'name'; name: string; as?: 'tag' | 'field' }
  | { kind: 'call'; name: string; args: Expression[] }
  | { kind: 'all' }
  | { kind: 'binary'; operator: BinaryOperator; left: Expression; right: Expression }

/** A name as it is, or every name that fits. */
export type Pattern = string | RegExp
export interface Selected {
  expression: Expression
  alias?: string
}
export type Fill = 'default' | 'null' | 'none' | 'previous' | 'linear' | number
export interface Select {
  kind: 'select'
  selected: Selected[]
  from: Pattern[]
  where?: Expression
  every?: { ns: bigint; offsetNs: bigint }
  /** Tags by name; `*`: all. */
  by: Pattern[] | '*'
  fill: Fill
  descending: boolean
  limit?: number
  offset?: number
  seriesLimit?: number
  seriesOffset?: number
  zone?: string
}
export interface Show {
  kind: 'databases' | 'retention policies' | 'measurements' | 'field keys' | 'tag keys' | 'tag values'
  /** Measurements; all where empty. */
  from: Pattern[]
  /** For `tag values`: the keys. `not`: all but these. */
  keys?: { patterns: Pattern[]; not: boolean }
  where?: Expression
  limit?: number
  offset?: number
}
export type Statement = Select | Show

export const queryCharsMax = 256 * 1024
const statementsMax = 100
const depthMax = 100
/** Operators of one statement: a long chain is a deep tree too. */
const operatorsMax = 1000

interface Token {
  kind: 'word' | 'name' | 'string' | 'number' | 'duration' | 'regex' | 'sign' | 'end'
  text: string
  at: number
}

/** @throws InfluxQlError */
export const parseInfluxQl = (text: string): Statement[] => {
  if (text.length > queryCharsMax) throw new InfluxQlError(`the query has more than ${queryCharsMax} characters`)
  const parser = createParser(createScanner(text))
  const statements: Statement[] = []
  while (!parser.atEnd()) {
    if (parser.skipSemicolon()) continue
    if (statements.length === statementsMax) throw new InfluxQlError(`more than ${statementsMax} statements at once`)
    statements.push(parser.statement())
    parser.endOfStatement()
  }
  if (statements.length === 0) throw new InfluxQlError('the query is empty: expected SELECT or SHOW')
  return statements
}

const patterns: [Token['kind'], RegExp][] = [
  ['duration', /(?:\d+(?:ns|ms|us|u|µs|µ|s|m|h|d|w))+(?![A-Za-z0-9_])/y],
  ['number', /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y],
  ['word', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['name', /"(?:[^"\\\n]|\\.)*"/y],
  ['string', /'(?:[^'\\\n]|\\.)*'/y],
  ['sign', /::|=~|!~|!=|<>|<=|>=|[-+*/%=<>(),;.]/y],
]
const regexPattern = /\/((?:[^/\\\n]|\\.)+)\//y
const blank = /(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/y

const unquote = (text: string): string =>
  text
    .slice(1, -1)
    .replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === '"' || c === "'" || c === '\\' ? c : `\\${c}`))

/** One token at a time: whether `/` divides or begins a regular expression is known to the parser alone. */
const createScanner = (text: string) => {
  let at = 0
  const skip = () => {
    blank.lastIndex = at
    at += blank.exec(text)?.[0].length ?? 0
  }
  const scan = (wantsRegex: boolean): Token => {
    skip()
    if (at >= text.length) return { kind: 'end', text: '', at }
    if (wantsRegex) {
      regexPattern.lastIndex = at
      const m = regexPattern.exec(text)
      if (m) return { kind: 'regex', text: m[0], at }
    }
    for (const [kind, pattern] of patterns) {
      pattern.lastIndex = at
      const m = pattern.exec(text)
      if (m) return { kind, text: m[0], at }
    }
    throw new InfluxQlError(`cannot read ${JSON.stringify(text.slice(at, at + 20))} at character ${at + 1}`)
  }
  return {
    peek: (wantsRegex = false) => scan(wantsRegex),
    next(wantsRegex = false): Token {
      const token = scan(wantsRegex)
      at = token.at + token.text.length
      return token
    },
  }
}

const unitNs: Record<string, bigint> = {
  ...{ ns: 1n, u: 1000n, us: 1000n, µ: 1000n, µs: 1000n, ms: 1_000_000n, s: 1_000_000_000n },
  ...{ m: 60_000_000_000n, h: 3_600_000_000_000n, d: 86_400_000_000_000n, w: 604_800_000_000_000n },
}
const durationNs = (text: string): bigint =>
  [...text.matchAll(/(\d+)(\D+)/g)].reduce((sum, [, n = '0', unit = '']) => sum + BigInt(n) * (unitNs[unit] ?? 0n), 0n)

const regexCharsMax = 64 * 1024
const regexRepeatsMax = 4
/**
 * InfluxDB's expressions (RE2) take linear time, ours may not: those that could take long are refused. Without a repeated group
 * and with few repeats, a name of 256 characters is tried in well under a second.
 */
export const safeRegex = (source: string): RegExp => {
  const plain = source.replace(/\\./g, '_').replace(/\[[^\]]*\]/g, '_')
  const repeats = plain.match(/[*+{]/g)?.length ?? 0
  if (source.length > regexCharsMax || repeats > regexRepeatsMax || /\)[*+{]/.test(plain)) {
    throw new InfluxQlError(
      `the regular expression /${source.slice(0, 40)}/ is not taken here: no repeated group and at most ${regexRepeatsMax} of * + {}`,
    )
  }
  try {
    return new RegExp(source.replaceAll('\\/', '/'))
  } catch {
    throw new InfluxQlError(`/${source.slice(0, 40)}/ is no regular expression`)
  }
}

const precedence: Record<string, number> = {
  ...{ or: 1, and: 2, '=': 3, '!=': 3, '<>': 3, '<': 3, '<=': 3, '>': 3, '>=': 3, '=~': 3, '!~': 3 },
  ...{ '+': 4, '-': 4, '*': 5, '/': 5, '%': 5 },
}

const createParser = (scanner: ReturnType<typeof createScanner>) => {
  let depth = 0
  let operators = 0
  const isWord = (token: Token, word: string) => token.kind === 'word' && token.text.toLowerCase() === word
  const isSign = (token: Token, sign: string) => token.kind === 'sign' && token.text === sign
  const show = (token: Token) =>
    token.kind === 'end' ? 'the end' : `"${token.text.slice(0, 40)}" at character ${token.at + 1}`
  const refuse = (token: Token, expected: string): never => {
    throw new InfluxQlError(`expected ${expected}, found ${show(token)}`)
  }
  const word = (text: string): boolean => {
    if (!isWord(scanner.peek(), text)) return false
    scanner.next()
    return true
  }
  const sign = (text: string): boolean => {
    if (!isSign(scanner.peek(), text)) return false
    scanner.next()
    return true
  }
  const needWord = (text: string) => word(text) || refuse(scanner.peek(), text.toUpperCase())
  const needSign = (text: string) => sign(text) || refuse(scanner.peek(), `"${text}"`)
  const name = (what: string): string => {
    const token = scanner.next()
    if (token.kind === 'name') return unquote(token.text)
    return token.kind === 'word' ? token.text : refuse(token, what)
  }
  const pattern = (what: string): Pattern => {
    const token = scanner.peek(true)
    if (token.kind !== 'regex') return name(what)
    scanner.next(true)
    return safeRegex(token.text.slice(1, -1))
  }
  const whole = (what: string): number => {
    const token = scanner.next()
    return token.kind === 'number' && /^\d{1,9}$/.test(token.text) ? Number(token.text) : refuse(token, what)
  }
  const list = <T>(item: () => T): T[] => {
    const items = [item()]
    while (sign(',')) items.push(item())
    return items
  }

  /** `"db"."rp"."measurement"`: only the last part says something here. */
  const measurement = (): Pattern => {
    if (isSign(scanner.peek(true), '(')) throw new InfluxQlError('a query within a query is not answered here')
    let found = pattern('a measurement')
    while (typeof found === 'string' && sign('.')) found = isSign(scanner.peek(), '.') ? '' : pattern('a measurement')
    return found
  }

  const expression = (least = 1): Expression => {
    if (++depth > depthMax) throw new InfluxQlError(`more than ${depthMax} levels of parentheses`)
    let left = operand()
    for (;;) {
      const token = scanner.peek()
      const operator = token.kind === 'sign' ? token.text : token.text.toLowerCase()
      const rank = token.kind === 'sign' || token.kind === 'word' ? precedence[operator] : undefined
      if (rank === undefined || rank < least) break
      countOperator()
      scanner.next()
      const isMatch = operator === '=~' || operator === '!~'
      const right = isMatch ? regex() : expression(rank + 1)
      left = { kind: 'binary', operator: (operator === '<>' ? '!=' : operator) as BinaryOperator, left, right }
    }
    depth--
    return left
  }
  const regex = (): Expression => {
    const token = scanner.next(true)
    if (token.kind !== 'regex') return refuse(token, 'a regular expression such as /^a.*/')
    return { kind: 'regex', value: safeRegex(token.text.slice(1, -1)) }
  }
  const countOperator = () => {
    if (++operators > operatorsMax) throw new InfluxQlError(`more than ${operatorsMax} operators in one query`)
  }
  const operand = (): Expression => {
    const token = scanner.next()
    switch (token.kind) {
      case 'number':
        return /^\d+$/.test(token.text)
          ? { kind: 'integer', value: BigInt(token.text) }
          : { kind: 'number', value: Number(token.text) }
      case 'duration':
        return { kind: 'duration', ns: durationNs(token.text) }
      case 'string':
        return { kind: 'string', value: unquote(token.text) }
      case 'name':
        return cast(unquote(token.text))
      case 'word': {
        const lower = token.text.toLowerCase()
        if (lower === 'true' || lower === 'false') return { kind: 'boolean', value: lower === 'true' }
        if (sign('(')) return call(lower)
        return cast(token.text)
      }
    }
    if (isSign(token, '*')) return { kind: 'all' }
    if (isSign(token, '+') || isSign(token, '-')) countOperator()
    if (isSign(token, '+')) return operand()
    if (isSign(token, '-'))
      return { kind: 'binary', operator: '-', left: { kind: 'integer', value: 0n }, right: operand() }
    if (!isSign(token, '(')) return refuse(token, 'a name, a value or "("')
    const inner = expression()
    needSign(')')
    return inner
  }
  const cast = (name: string): Expression => {
    if (!sign('::')) return { kind: 'name', name }
    const token = scanner.next()
    const as = token.text.toLowerCase()
    if (as === 'tag' || as === 'field') return { kind: 'name', name, as }
    return /^(float|integer|string|boolean|unsigned)$/.test(as)
      ? { kind: 'name', name, as: 'field' }
      : refuse(token, 'tag or field')
  }
  const call = (name: string): Expression => {
    if (sign(')')) return { kind: 'call', name, args: [] }
    const args = list(() => expression())
    needSign(')')
    return { kind: 'call', name, args }
  }

  const limits = () => {
    const found: { limit?: number; offset?: number; seriesLimit?: number; seriesOffset?: number } = {}
    for (;;) {
      if (word('limit')) found.limit = whole('a number of rows')
      else if (word('offset')) found.offset = whole('a number of rows')
      else if (word('slimit')) found.seriesLimit = whole('a number of series')
      else if (word('soffset')) found.seriesOffset = whole('a number of series')
      else return found
    }
  }
  const condition = () => (word('where') ? { where: expression() } : {})

  const select = (): Select => {
    const selected = list((): Selected => {
      const selected = expression(4)
      return word('as') ? { expression: selected, alias: name('an alias') } : { expression: selected }
    })
    if (word('into')) throw new InfluxQlError('SELECT … INTO writes: only reading is possible here')
    needWord('from')
    const from = list(measurement)
    const where = condition()
    const grouped = grouping()
    let descending = false
    if (word('order')) {
      needWord('by')
      const by = name('time')
      if (by.toLowerCase() !== 'time') throw new InfluxQlError('only ORDER BY time is possible')
      descending = word('desc')
      if (!descending) word('asc')
    }
    const bounds = limits()
    const zone = timeZone()
    return {
      kind: 'select',
      selected,
      from,
      ...where,
      ...grouped,
      descending,
      ...bounds,
      ...(zone !== undefined && { zone }),
    }
  }
  const timeZone = (): string | undefined => {
    if (!word('tz')) return undefined
    needSign('(')
    const token = scanner.next()
    if (token.kind !== 'string') refuse(token, "a zone such as 'Europe/London'")
    needSign(')')
    return unquote(token.text)
  }
  const grouping = (): Pick<Select, 'every' | 'by' | 'fill'> => {
    const by: Pattern[] = []
    let all = false
    let every: Select['every']
    if (word('group')) {
      needWord('by')
      list(() => {
        if (sign('*')) {
          all = true
          return
        }
        const tag = pattern('time(…) or a tag')
        if (typeof tag !== 'string' || !sign('(')) {
          if (typeof tag === 'string' && sign('::')) needWord('tag')
          by.push(tag)
          return
        }
        if (tag.toLowerCase() !== 'time') throw new InfluxQlError(`GROUP BY ${tag}(…) is not possible: only time(…) is`)
        if (every) throw new InfluxQlError('GROUP BY names time(…) twice')
        every = interval()
      })
    }
    return { by: all ? '*' : by, fill: fill(), ...(every && { every }) }
  }
  const interval = (): NonNullable<Select['every']> => {
    const [every, offset] = list(() => expression())
    needSign(')')
    if (every?.kind !== 'duration' || every.ns <= 0n) throw new InfluxQlError('time(…) expects an interval such as 10m')
    const offsetNs = offset === undefined ? 0n : constantNs(offset)
    if (offsetNs === undefined) throw new InfluxQlError('the offset of time(…) is to be a duration such as 15m')
    return { ns: every.ns, offsetNs }
  }
  const fill = (): Fill => {
    if (!word('fill')) return 'default'
    needSign('(')
    const minus = sign('-')
    const token = scanner.next()
    needSign(')')
    const text = token.text.toLowerCase()
    if (token.kind === 'number') return minus ? -Number(text) : Number(text)
    if (!minus && (text === 'null' || text === 'none' || text === 'previous' || text === 'linear')) return text
    return refuse(token, 'null, none, previous, linear or a number')
  }

  const showStatement = (): Show => {
    const on = () => {
      if (word('on')) name('a database')
    }
    const from = () => (word('from') ? list(measurement) : [])
    if (word('databases')) return { kind: 'databases', from: [] }
    if (word('retention')) {
      needWord('policies')
      on()
      return { kind: 'retention policies', from: [] }
    }
    if (word('measurements')) {
      on()
      return { kind: 'measurements', from: namedMeasurement(), ...condition(), ...limits() }
    }
    if (word('field')) {
      needWord('keys')
      on()
      return { kind: 'field keys', from: from(), ...condition(), ...limits() }
    }
    if (!word('tag'))
      refuse(scanner.peek(), 'DATABASES, RETENTION POLICIES, MEASUREMENTS, FIELD KEYS, TAG KEYS or TAG VALUES')
    const isKeys = word('keys')
    if (!isKeys) needWord('values')
    on()
    const measurements = from()
    if (isKeys) return { kind: 'tag keys', from: measurements, ...condition(), ...limits() }
    return { kind: 'tag values', from: measurements, keys: tagKeys(), ...condition(), ...limits() }
  }
  const namedMeasurement = (): Pattern[] => {
    if (!word('with')) return []
    needWord('measurement')
    if (!sign('=')) needSign('=~')
    return [pattern('a measurement')]
  }
  const tagKeys = (): NonNullable<Show['keys']> => {
    needWord('with')
    needWord('key')
    if (word('in')) {
      needSign('(')
      const patterns = list(() => name('a tag'))
      needSign(')')
      return { patterns, not: false }
    }
    const token = scanner.next()
    if (token.kind !== 'sign' || !/^(=|!=|<>|=~|!~)$/.test(token.text)) refuse(token, '=, !=, =~, !~ or IN')
    return { patterns: [pattern('a tag')], not: token.text.startsWith('!') || token.text === '<>' }
  }

  return {
    atEnd: () => scanner.peek().kind === 'end',
    skipSemicolon: () => sign(';'),
    endOfStatement() {
      if (scanner.peek().kind !== 'end' && !sign(';')) refuse(scanner.peek(), '";" or the end of the query')
    },
    statement(): Statement {
      if (word('select')) return select()
      if (word('show')) return showStatement()
      return refuse(scanner.peek(), 'SELECT or SHOW: only reading is possible here')
    },
  }
}

/** ns of a constant of durations and whole numbers, or `undefined`. `nowNs` stands for now(). */
export const constantNs = (expression: Expression, nowNs?: bigint): bigint | undefined => {
  if (expression.kind === 'integer') return expression.value
  if (expression.kind === 'duration') return expression.ns
  if (expression.kind === 'call' && expression.name === 'now' && expression.args.length === 0) return nowNs
  if (expression.kind !== 'binary') return undefined
  const left = constantNs(expression.left, nowNs)
  const right = constantNs(expression.right, nowNs)
  if (left === undefined || right === undefined) return undefined
  if (expression.operator === '+') return left + right
  return expression.operator === '-' ? left - right : undefined
}

export interface TimeCondition {
  /** Half-open; `undefined` where the query does not say. */
  fromNs: bigint | undefined
  toNs: bigint | undefined
  /** What is said of tags and fields. */
  rest: Expression | undefined
}

/** Takes the conditions on time out of a WHERE. They may stand beside others with AND, not within OR. `timeNs` reads a time in quotes. */
export const splitTime = (
  where: Expression | undefined,
  nowNs: bigint,
  timeNs: (text: string) => bigint | undefined,
): TimeCondition => {
  const range: TimeCondition = { fromNs: undefined, toNs: undefined, rest: undefined }
  const bound = (operator: BinaryOperator, value: bigint): void => {
    const from = operator === '>' ? value + 1n : operator === '>=' || operator === '=' ? value : undefined
    const to = operator === '<' ? value : operator === '<=' || operator === '=' ? value + 1n : undefined
    if (from === undefined && to === undefined)
      throw new InfluxQlError(`time ${operator} … is not possible: use = < <= > >=`)
    if (from !== undefined && (range.fromNs === undefined || from > range.fromNs)) range.fromNs = from
    if (to !== undefined && (range.toNs === undefined || to < range.toNs)) range.toNs = to
  }
  const timeValue = (expression: Expression): bigint => {
    // '2024-07-01' - 1h: the text is a time.
    const value = constantNs(mapStrings(expression), nowNs)
    if (value !== undefined) return value
    throw new InfluxQlError(
      "time is compared with a time such as now() - 1h, 1719792000000ms or '2024-07-01T00:00:00Z'",
    )
  }
  const mapStrings = (expression: Expression): Expression => {
    if (expression.kind === 'string') {
      const value = timeNs(expression.value)
      if (value === undefined)
        throw new InfluxQlError(`'${expression.value.slice(0, 40)}' is no time such as '2024-07-01T00:00:00Z'`)
      return { kind: 'integer', value }
    }
    if (expression.kind !== 'binary') return expression
    return { ...expression, left: mapStrings(expression.left), right: mapStrings(expression.right) }
  }
  const walk = (expression: Expression): Expression | undefined => {
    if (expression.kind !== 'binary') return expression
    const { operator, left, right } = expression
    if (operator === 'and') {
      const a = walk(left)
      const b = walk(right)
      return a && b ? { ...expression, left: a, right: b } : (a ?? b)
    }
    if (isTime(left) && operator in flipped) return void bound(operator, timeValue(right))
    if (isTime(right) && operator in flipped) return void bound(flipped[operator] as BinaryOperator, timeValue(left))
    if (mentionsTime(expression))
      throw new InfluxQlError('a condition on time stands beside others with AND, not within OR')
    return expression
  }
  range.rest = where && walk(where)
  return range
}

const flipped: Partial<Record<BinaryOperator, BinaryOperator>> = {
  ...{ '=': '=', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' },
}
const isTime = (expression: Expression): boolean =>
  expression.kind === 'name' && expression.as === undefined && expression.name.toLowerCase() === 'time'
const mentionsTime = (expression: Expression): boolean =>
  isTime(expression) ||
  (expression.kind === 'binary' && (mentionsTime(expression.left) || mentionsTime(expression.right)))

/** Fields of records to options: time, tags, columns with types and units, texts for holes, doubts about each. */
import { isZone, LIMITS, STATUS_COLUMN } from '@penstock/frame'
import { type ClockGuess, type Field, guessClock } from './clock.ts'
import { type ColumnGuess, guessColumn, sentinelDoubts } from './columns.ts'
import type { Doubt, Finding, Hints, Settings } from './proposal.ts'
import { spellUnit, splitUnit } from './units.ts'

export interface FieldsPlan {
  /** time, tags, columns, nullTexts, sameTime, decimal as under `format:`. */
  settings: Settings
  clock: ClockGuess
  /** Columns that are numbers or words for on and off. */
  typed: number
  columns: number
  doubts: Doubt[]
  findings: Finding[]
}

const siteName =
  /^(?:site|shop|store|store_?name|plant|plant_?name|standort|filiale|werk|tienda|magasin|location|city)$/i
const deviceName =
  /^(?:device|device_?id|device_?name|dev_?id|sensor|sensor_?id|sensor_?name|sensorid|deviceid|instrument|machine|machine_?id|unit_?id|node|node_?id|station|station_?id|lane|lane_?number|door|meter|meter_?id|logger|probe|tag|tagname|tag_?name|item_?id|point|geraet|gerät|capteur|mac|serial|serial_?number|serial_?no)$/i

/** Beside a column of values, what tells whose value it is. */
const seriesName = /^_?(?:name|variable|signal|parameter|measurement|quantity|metric|item|channel)_?$/i
const valueName = /^_?(?:value|wert|valeur|valor|valore|val|reading)_?$/i

/** Cities that are no names of zones, by the zone in which they lie. */
const cityZones: Record<string, string> = {
  roma: 'Europe/Rome',
  milano: 'Europe/Rome',
  milan: 'Europe/Rome',
  torino: 'Europe/Rome',
  napoli: 'Europe/Rome',
  wien: 'Europe/Vienna',
  praha: 'Europe/Prague',
  warszawa: 'Europe/Warsaw',
  bruxelles: 'Europe/Brussels',
  brussel: 'Europe/Brussels',
  lisboa: 'Europe/Lisbon',
  københavn: 'Europe/Copenhagen',
  münchen: 'Europe/Berlin',
  munich: 'Europe/Berlin',
  hamburg: 'Europe/Berlin',
  köln: 'Europe/Berlin',
  cologne: 'Europe/Berlin',
  frankfurt: 'Europe/Berlin',
  stuttgart: 'Europe/Berlin',
  barcelona: 'Europe/Madrid',
  valencia: 'Europe/Madrid',
  sevilla: 'Europe/Madrid',
  bilbao: 'Europe/Madrid',
  lyon: 'Europe/Paris',
  marseille: 'Europe/Paris',
  lille: 'Europe/Paris',
  manchester: 'Europe/London',
  birmingham: 'Europe/London',
  leeds: 'Europe/London',
  genève: 'Europe/Zurich',
  geneva: 'Europe/Zurich',
  basel: 'Europe/Zurich',
  bern: 'Europe/Zurich',
  rotterdam: 'Europe/Amsterdam',
  boston: 'America/New_York',
  miami: 'America/New_York',
  dallas: 'America/Chicago',
  houston: 'America/Chicago',
  seattle: 'America/Los_Angeles',
  'san francisco': 'America/Los_Angeles',
  osaka: 'Asia/Tokyo',
  kyoto: 'Asia/Tokyo',
  nagoya: 'Asia/Tokyo',
  beijing: 'Asia/Shanghai',
  shenzhen: 'Asia/Shanghai',
}
let zonesByCity: Map<string, string> | undefined
export const zoneOfCity = (city: string): string | undefined => {
  zonesByCity ??= new Map(
    Intl.supportedValuesOf('timeZone').map(zone => [
      (zone.split('/').at(-1) ?? '').replaceAll('_', ' ').toLowerCase(),
      zone,
    ]),
  )
  const name = city.trim().toLowerCase()
  return cityZones[name] ?? zonesByCity.get(name)
}

interface Tags {
  settings: Settings
  used: number[]
  zone: Settings
  doubts: Doubt[]
  findings: Finding[]
}

const isTagText = (text: string): boolean =>
  text !== '' && text.length <= LIMITS.nameCharsMax && !/^(?:null|nan|n\/a)$/i.test(text)

/** Columns that name the site and the device of a row. */
const guessTags = (fields: readonly Field[], clock: ClockGuess): Tags => {
  const tags: Tags = { settings: {}, used: [], zone: {}, doubts: [], findings: [] }
  const free = fields.map((field, index) => ({ field, index })).filter(({ index }) => !clock.used.includes(index))
  const distinct = (field: Field): Set<string> => new Set(field.texts.map(text => text.trim()).filter(isTagText))
  const found = new Map<'site' | 'device', Field>()
  const isLong = fields.some(field => valueName.test(field.name.trim()))
  for (const { field, index } of free) {
    const name = field.name.split('.').at(-1)?.trim() ?? ''
    const isDevice = deviceName.test(name) || (isLong && seriesName.test(name))
    const key = siteName.test(name) ? 'site' : isDevice ? 'device' : undefined
    if (key === undefined || found.has(key)) continue
    const texts = distinct(field)
    // One row of each is a table of things, not of readings; one text alone is better said in the source.
    if (texts.size < 2 || texts.size > Math.max(2, field.texts.length * 0.7) || hasFractions(texts)) continue
    found.set(key, field)
    tags.used.push(index)
    tags.settings[key] = { column: field.ref }
    const what = key === 'site' ? 'site' : 'device'
    const list = [...texts].slice(0, 5).join(', ')
    tags.findings.push({
      what: 'tags',
      text: `"${field.name}" names the ${what}: ${list}${texts.size > 5 ? ', …' : ''}`,
    })
    tags.doubts.push({
      path: ['format', 'tags', key],
      text: `"${field.name}" (${list}${texts.size > 5 ? ', …' : ''}) is taken to be the ${what} of a row, by its name`,
    })
  }
  const site = found.get('site')
  if (site && !clock.isUtc && clock.time) zonesOf(site, distinct(site), tags)
  return tags
}
const hasFractions = (texts: ReadonlySet<string>): boolean => [...texts].some(text => /^[+-]?\d+[.,]\d+$/.test(text))

/** Local times of sites in cities: the zone by the city. */
const zonesOf = (field: Field, texts: ReadonlySet<string>, tags: Tags): void => {
  const zones: Settings = {}
  for (const text of texts) {
    const zone = zoneOfCity(text)
    if (zone === undefined || !isZone(zone)) return
    zones[text] = zone
  }
  tags.zone = { zone: { by: field.ref, zones } }
  const list = Object.entries(zones).map(([city, zone]) => `${city} ${String(zone)}`)
  tags.findings.push({ what: 'zone', text: `by "${field.name}": ${list.join(', ')}` })
  tags.doubts.push({
    path: ['format', 'time', 'zone'],
    text: `times are taken to be local to each ${field.name}: ${list.join(', ')}`,
  })
}

/** The decimal mark that most numbers have. */
const decimalOf = (guesses: readonly ColumnGuess[]): '.' | ',' => {
  const all = guesses.filter(g => g.type === 'float' && !g.empty)
  const sure = all.filter(g => !g.isWeak)
  const floats = sure.length > 0 ? sure : all
  const commas = floats.filter(g => g.decimal === ',').length
  return commas > floats.length / 2 ? ',' : '.'
}

/** Quantities that are whole only by chance: read as float even where the sample has no fraction. */
const continuous =
  /^(?:°C|°F|K|%|V|mV|µV|A|mA|µA|nA|pA|W|kW|Pa|hPa|kPa|bar|mbar|psi|s|ms|m|mm|cm|km|m\/s|km\/h|°|g|kg|mg|Hz|kHz|MHz|l|L|ml|l\/min|ppm|ppb|Ω|ohm|lux|lx|Torr|mTorr|sccm|N|J|kWh|dB|dBm|nm|µm|W\/m²|hours|min|µS\/cm|%RH|rh|%rh)$/i
const continuousName =
  /temp|druck|press|volt|spannung|current|strom|power|leistung|\bhum|feucht|speed|level|weight|gewicht|flow|durchfluss|lat|lon|\balt|angle|dist/i
const countName =
  /count|index|\bno\b|no\.|\bnr\b|num|id$|seq|cycle|code|status|state|flag|quality|channel|pulses?|events?|visits|sum$|quantity|anzahl|satellites|\bsats?\b|day|year|month|week/i

/** What rows of units hold where there is none: TS and RN are Campbell's for time and record number. */
const noUnit = /^(?:-+|TS|RN|none|n\/a|\[\]|text|string)$/i

const uniqueName = (wanted: string, taken: Set<string>): string => {
  let name = wanted
  for (let n = 2; taken.has(name) || name === STATUS_COLUMN; n++)
    name = name === STATUS_COLUMN && n === 2 ? `${STATUS_COLUMN}_` : `${wanted} ${n}`
  taken.add(name)
  return name
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
const controls = /[\u0000-\u001f\u007f]+/g

/** A column as it stands in the options, and its name. */
/** The name of a column whose head says what 1 and 0 mean: `Coil (1:ON 0:OFF)`. */
const legendOf = (field: Field): string | undefined => {
  const m = /^(.+?)\s*[([]\s*([01])\s*[:=]\s*([\p{L} ]{1,16}?)[\s,;/]+([01])\s*[:=]\s*([\p{L} ]{1,16}?)\s*[)\]]$/u.exec(
    field.name,
  )
  if (!m || m[2] === m[4] || !field.texts.every(text => ['', '0', '1'].includes(text.trim()))) return undefined
  return m[1]
}

const columnSettings = (field: Field, guess: ColumnGuess, decimal: '.' | ',', taken: Set<string>) => {
  const split = splitUnit(field.name)
  const rowUnit = field.unit?.replace(/^[[({]\s*|\s*[\])}]$/g, '').trim()
  const legend = guess.type === 'int' ? legendOf(field) : undefined
  const ownUnit = guess.suffix === undefined ? split.unit : spellUnit(guess.suffix)
  const unit = rowUnit !== undefined && rowUnit !== '' && !noUnit.test(rowUnit) ? spellUnit(rowUnit) : ownUnit
  const plain =
    field.name === '' ? (typeof field.ref === 'number' ? `column${field.ref}` : field.ref) : (legend ?? split.name)
  // Where names without their units are equal, they keep them.
  const wanted = taken.has(plain) ? field.name : plain
  const name = uniqueName((wanted || 'column').replace(controls, ' ').slice(0, LIMITS.nameCharsMax - 8), taken)
  const isCount =
    guess.type === 'int' &&
    (countName.test(field.name) || !(continuousName.test(field.name) || (unit !== undefined && continuous.test(unit))))
  const type = legend !== undefined ? 'bool' : guess.type === 'int' ? (isCount ? 'int' : 'float') : guess.type
  const settings: Settings = {
    ...(field.ref !== name && { from: field.ref }),
    type,
    ...(unit !== undefined && unit !== '' && unit !== '-' && { unit: unit.slice(0, 32) }),
    ...(guess.thousands !== undefined && { thousands: guess.thousands }),
    ...(guess.suffix !== undefined && { suffixes: [guess.suffix] }),
    ...(guess.type === 'float' &&
      guess.decimal !== undefined &&
      guess.decimal !== decimal && { decimal: guess.decimal }),
    ...(Object.keys(guess.status).length > 0 && { status: guess.status }),
    ...(guess.trueTexts.length > 0 && { trueTexts: guess.trueTexts }),
    ...(guess.falseTexts.length > 0 && { falseTexts: guess.falseTexts }),
  }
  return { name, settings, type }
}

/** A column that only numbers the rows of the file, as pandas and R write: 0, 1, 2, … or 1, 2, 3, … without a name. */
const isRowNumber = (field: Field, index: number): boolean => {
  if (index !== 0 || !(field.name === '' || /^unnamed: 0$/i.test(field.name))) return false
  const [first] = field.texts
  return (
    field.texts.length > 1 &&
    (first === '0' || first === '1') &&
    field.texts.slice(0, 50).every((text, i) => Number(text) === Number(first) + i)
  )
}

export const planFields = (fields: readonly Field[], hints: Hints, decimals: boolean): FieldsPlan => {
  const guessAll = (mark: '.' | ','): ColumnGuess[] =>
    fields.map(field => guessColumn(field.texts, mark, field.name, hints.delimiter === ',' && decimals === false))
  const first = guessAll(hints.decimal)
  const decimal = decimals ? decimalOf(first) : '.'
  // What a mark means in one column may follow from the others.
  const guesses = decimal === hints.decimal ? first : guessAll(decimal)
  const clock = guessClock(fields, { ...hints, decimal })
  const tags = guessTags(fields, clock)
  const doubts: Doubt[] = [...clock.doubts, ...tags.doubts]
  const findings: Finding[] = []
  const columns: Settings = {}
  const taken = new Set<string>()
  const nullTexts = new Set<string>()
  const left: string[] = []
  const units: string[] = []
  const few: { name: string; values: string }[] = []
  const zeroOne: { name: string; values: string }[] = []
  let typed = 0
  let kept = 0
  for (const [index, field] of fields.entries()) {
    const guess = guesses[index] as ColumnGuess
    for (const text of guess.nullTexts) if (!isAmbiguousNull(text, guesses)) nullTexts.add(text)
    if (clock.used.includes(index) || tags.used.includes(index)) continue
    if (guess.empty) {
      left.push(field.name === '' ? `column ${field.ref}` : `"${field.name}"`)
      continue
    }
    if (isRowNumber(field, index)) {
      findings.push({ what: 'columns', text: 'the first column only numbers the rows: left out' })
      continue
    }
    const { name, settings, type } = columnSettings(field, guess, decimal, taken)
    const own = guess.nullTexts.filter(text => isAmbiguousNull(text, guesses))
    if (own.length > 0) settings.nullTexts = ['', ...own]
    const only = Object.keys(settings).length === 1
    columns[name] = only ? type : settings
    kept++
    if (type !== 'text') typed++
    if (settings.unit !== undefined) units.push(`${name} ${String(settings.unit)}`)
    doubts.push(...columnDoubts(name, field, guess, decimal))
    const values = fewTexts(field, guess, type)
    if (values.length > 0) few.push({ name, values: values.join(', ') })
    if (isZeroOne(field, guess, type))
      zeroOne.push({ name, values: [...guess.distinct].filter(Boolean).sort().join(' and ') })
  }
  doubts.push(...zeroOneDoubt(zeroOne), ...fewTextsDoubt(few))
  if (left.length > 0)
    findings.push({
      what: 'columns',
      text: `${left.slice(0, 8).join(', ')} ${left.length === 1 ? 'holds' : 'hold'} nothing: left out`,
    })
  if (units.length > 0) findings.push({ what: 'units', text: units.slice(0, 40).join(', ') })
  if (nullTexts.size > 0)
    findings.push({ what: 'null texts', text: [...nullTexts].map(text => `"${text}"`).join(', ') })
  const same = sameTimes(fields, clock, tags)
  doubts.push(...same.doubts)
  const time = clock.time && { ...clock.time, ...tags.zone }
  const settings: Settings = {
    ...(time && { time }),
    ...(Object.keys(tags.settings).length > 0 && { tags: tags.settings }),
    ...(kept > 0 && { columns }),
    ...(decimal === ',' && { decimal }),
    ...(nullTexts.size > 0 && { nullTexts: ['', ...nullTexts] }),
    ...(same.keep && { sameTime: 'keep' }),
  }
  return { settings, clock, typed, columns: kept, doubts, findings: [...clock.findings, ...tags.findings, ...findings] }
}

/** A text that is a hole in one column and a word in another goes to the column, not to the format. */
const isAmbiguousNull = (text: string, guesses: readonly ColumnGuess[]): boolean =>
  guesses.some(
    guess => guess.type === 'text' && !guess.empty && !guess.nullTexts.includes(text) && guess.distinct.has(text),
  )

const columnDoubts = (name: string, field: Field, guess: ColumnGuess, decimal: '.' | ','): Doubt[] => {
  const path = ['format', 'columns', name]
  const doubts: Doubt[] = guess.doubts.map(text => ({ path, text: `"${name}": ${text}` }))
  if (guess.type === 'float' || guess.type === 'int') {
    for (const text of sentinelDoubts(field.texts, guess.decimal ?? decimal))
      doubts.push({ path, text: `"${name}": ${text}` })
  }
  return doubts
}

/** Whether a column of whole numbers may be one of on and off. */
const isZeroOne = (field: Field, guess: ColumnGuess, type: string): boolean => {
  const values = [...guess.distinct].filter(text => text !== '')
  return (
    type === 'int' && field.texts.length > 3 && values.length > 0 && values.every(text => text === '0' || text === '1')
  )
}

/** Texts that come again and again, as names of devices and sites do. */
const fewTexts = (field: Field, guess: ColumnGuess, type: string): string[] => {
  const { size } = guess.distinct
  if (type !== 'text' || size > 12 || field.texts.length < 6 || size > field.texts.length / 3) return []
  const values = [...guess.distinct].filter(text => text !== '').slice(0, 4)
  return values.every(text => text.length <= 40) ? values : []
}

const zeroOneDoubt = (columns: readonly { name: string; values: string }[]): Doubt[] => {
  const [first] = columns
  if (!first) return []
  if (columns.length === 1) {
    return [
      {
        path: ['format', 'columns', first.name],
        text: `"${first.name}" holds only ${first.values}: say bool if it is on and off`,
      },
    ]
  }
  return [
    { path: ['format', 'columns'], text: `${nameList(columns)} hold only 0 and 1: say bool where they are on and off` },
  ]
}

const fewTextsDoubt = (columns: readonly { name: string; values: string }[]): Doubt[] => {
  const [first] = columns
  if (!first) return []
  const what = 'names a device or site, put it under tags'
  if (columns.length === 1) {
    return [
      {
        path: ['format', 'columns', first.name],
        text: `"${first.name}" repeats few texts (${first.values}): if it ${what}`,
      },
    ]
  }
  return [{ path: ['format', 'columns'], text: `${nameList(columns)} repeat few texts: if one of them ${what}` }]
}
const nameList = (columns: readonly { name: string }[]): string =>
  `${columns
    .slice(0, 8)
    .map(({ name }) => `"${name}"`)
    .join(', ')}${columns.length > 8 ? `, … (${columns.length})` : ''}`

/** Rows of one series at equal times would replace each other. */
const sameTimes = (fields: readonly Field[], clock: ClockGuess, tags: Tags): { keep: boolean; doubts: Doubt[] } => {
  const { ms } = clock
  if (!ms || !clock.time) return { keep: false, doubts: [] }
  const seen = new Map<string, number>()
  let equal = 0
  let different = 0
  for (let i = 0; i < ms.length; i++) {
    const t = ms[i] as number
    if (Number.isNaN(t)) continue
    const key = `${clock.used.map(j => fields[j]?.texts[i]).join('|')}|${tags.used.map(j => fields[j]?.texts[i]).join('|')}`
    const before = seen.get(key)
    if (before !== undefined) {
      equal++
      if (fields.some(field => field.texts[before] !== field.texts[i])) different++
    } else if (seen.size < 10_000) seen.set(key, i)
  }
  if (different === 0) return { keep: false, doubts: [] }
  const text = `${equal} rows have the time of an earlier one: each is kept, moved by 1 ns; say replace if the later one corrects the earlier`
  return { keep: true, doubts: [{ path: ['format', 'sameTime'], text }] }
}

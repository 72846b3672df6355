/** What the records can prove of a gap: which way a series came, what was rejected near it, and which entries are lost around it. */
import type { DuckDBValue } from '@duckdb/node-api'

/** By which gateway and source a series has come. */
export interface Feed {
  device: string
  stream: string
  /** null for a plain device. */
  gateway: string | null
  source: string | null
  /** Times of the readings that came this way. */
  firstMs: number
  lastMs: number
  /** When the last of them was taken in. */
  receivedMs: number
}

/** A reject, with the times of what was read together with it. */
export interface NearReject {
  id: string
  gateway: string | null
  source: string
  file: string | null
  text: string
  /** Times of the readings beside it; null where there are none: only its text may say when it was. */
  span: { fromMs: number; toMs: number } | null
  /** The only series that this file (or, without one, this source) has; null where it has several. */
  only: { site: string; device: string; stream: string } | null
}
export interface NearRejectQuery {
  site: string
  /** The ways to look at. */
  feeds: readonly Pick<Feed, 'gateway' | 'source'>[]
  fromMs: number
  toMs: number
  limit: number
}

/** A loss, with the times of what came from the same gateway just before and just after it. */
export interface NearLoss {
  gateway: string | null
  epoch: string | null
  from: number
  through: number
  reason: string
  receivedMs: number
  /** Of the site's readings; null where nothing came before it, or nothing since. */
  beforeMs: number | null
  afterMs: number | null
}

export interface Evidence {
  feeds(site: string): Promise<Feed[]>
  /** Latest first. */
  nearRejects(query: NearRejectQuery): Promise<NearReject[]>
  /** Latest first. */
  nearLosses(query: { site: string; gateways: readonly (string | null)[]; limit: number }): Promise<NearLoss[]>
  /** How many rejects were taken in since. */
  rejectsSince(ms: number): Promise<number>
}

type Row = Record<string, unknown>
type Ask = (sql: string, values: DuckDBValue[]) => Promise<Row[]>

/** Every series of a site begins so; see `seriesText`. */
const sitePrefix = (site: string): string => `${JSON.stringify([site]).slice(0, -1)},`
const msOf = (ns: unknown): number => Math.floor(Number(ns) / 1e6)
const msOrNull = (ns: unknown): number | null => (ns === null || ns === undefined ? null : msOf(ns))
const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
const seriesOf = (value: unknown) => {
  const [site = '', device = '', stream = ''] = JSON.parse(String(value)) as string[]
  return { site, device, stream }
}

/** A reading beside a reject is at most this far from what the reject would have been. */
const nearHours = 1

const rejectsSql = (ways: number): string => `
  with near as (
    select * from rejects where (gateway, source) in (${Array.from({ length: ways }, () => '(?, ?)').join(', ')})),
  beside as (
    select seq, coalesce(source, '') as source, coalesce(file, '') as file, min(first_ns) as a, max(last_ns) as z
    from frames where seq in (select seq from near) group by all),
  whole as (
    select gateway, coalesce(source, '') as source, coalesce(file, '') as file, min(first_ns) as a, max(last_ns) as z,
      count(distinct series) as n, any_value(series) as series
    from frames where gateway in (select gateway from near) group by all),
  timed as (
    select near.*, whole.n, whole.series,
      case when near.file is null then epoch_ns(try_cast(near.read_at as timestamptz)) else coalesce(beside.a, whole.a) end as a,
      case when near.file is null then epoch_ns(try_cast(near.read_at as timestamptz)) else coalesce(beside.z, whole.z) end as z
    from near
    left join beside on beside.seq = near.seq and beside.source = near.source and beside.file = coalesce(near.file, '')
    left join whole on whole.gateway = near.gateway and whole.source = near.source and whole.file = coalesce(near.file, ''))
  select * from timed where a is null or (a < ? and z >= ?) order by seq desc, idx desc limit ?`

export const createEvidence = (all: Ask): Evidence => ({
  async feeds(site) {
    const rows = await all(
      `select series, gateway, source, min(first_ns) as a, max(last_ns) as z, max(received_ms) as received
       from frames where starts_with(series, ?) group by series, gateway, source order by series, gateway, source`,
      [sitePrefix(site)],
    )
    return rows.map(row => {
      const { device, stream } = seriesOf(row.series)
      const way = { gateway: textOrNull(row.gateway), source: textOrNull(row.source) }
      return { device, stream, ...way, firstMs: msOf(row.a), lastMs: msOf(row.z), receivedMs: Number(row.received) }
    })
  },
  async nearRejects({ feeds, fromMs, toMs, limit }) {
    const ways = new Map(feeds.map(({ gateway, source }) => [JSON.stringify([gateway, source]), [gateway, source]]))
    if (ways.size === 0) return []
    const around = BigInt(nearHours * 3_600_000)
    const rows = await all(rejectsSql(ways.size), [
      ...[...ways.values()].flatMap(([gateway, source]) => [gateway ?? '', source ?? '']),
      (BigInt(toMs) + around) * 1_000_000n,
      (BigInt(fromMs) - around) * 1_000_000n,
      limit,
    ])
    return rows.map(row => ({
      id: `${Number(row.seq)}.${Number(row.idx)}`,
      gateway: textOrNull(row.gateway),
      source: String(row.source),
      file: textOrNull(row.file),
      text: String(row.text),
      span:
        row.a === null
          ? null
          : { fromMs: msOf(row.a) - nearHours * 3_600_000, toMs: msOf(row.z) + nearHours * 3_600_000 },
      only: Number(row.n ?? 0) === 1 ? seriesOf(row.series) : null,
    }))
  },
  async nearLosses({ site, gateways, limit }) {
    if (gateways.length === 0) return []
    const names = [...new Set(['', ...gateways.map(gateway => gateway ?? '')])]
    const losses = await all(
      `select * from losses where gateway in (${names.map(() => '?').join(', ')}) order by seq desc limit ?`,
      [...names, limit],
    )
    const near: NearLoss[] = []
    for (const row of losses) {
      near.push({
        gateway: textOrNull(row.gateway),
        epoch: textOrNull(row.epoch),
        from: Number(row.from_seq),
        through: Number(row.through_seq),
        reason: String(row.reason),
        receivedMs: Number(row.received_ms),
        ...(await edgesOf(all, site, row)),
      })
    }
    return near
  },
  async rejectsSince(ms) {
    return Number((await all('select count(*) as n from rejects where received_ms >= ?', [BigInt(ms)]))[0]?.n ?? 0)
  },
})

/** Times of the entries next to a loss; a loss of the journal itself may have been of any gateway. */
const edgesOf = async (all: Ask, site: string, loss: Row): Promise<Pick<NearLoss, 'beforeMs' | 'afterMs'>> => {
  const gateway = textOrNull(loss.gateway)
  const where = `starts_with(series, ?)${gateway === null ? '' : ' and gateway = ?'}`
  const values = [sitePrefix(site), ...(gateway === null ? [] : [gateway])]
  const next = async (pick: string, which: string): Promise<number | null> => {
    const nearest = `select ${which === '<' ? 'max' : 'min'}(seq) from frames where ${where} and seq ${which} ?`
    const seq = BigInt(Number(loss.seq))
    const rows = await all(`select ${pick} as t from frames where ${where} and seq = (${nearest})`, [
      ...values,
      ...values,
      seq,
    ])
    return msOrNull(rows[0]?.t)
  }
  return { beforeMs: await next('max(last_ns)', '<'), afterMs: await next('min(first_ns)', '>') }
}

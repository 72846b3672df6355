/**
 * The database or bucket: made where it is missing. Its retention must be endless: cursors and columns of series are points
 * there too, and a retention would take them away first.
 */
import { EXIT, UserError } from '@penstock/frame'
import { identifier } from './names.ts'
import { InfluxError, type Server } from './server.ts'

/** Makes it where it is missing. @returns one line about it @throws UserError where it cannot serve */
export const ensureStore = async (server: Server): Promise<string> => {
  if (server.version === 1) return ensureDatabase(server)
  if (server.version === 2) return ensureBucket(server)
  return `database "${server.database}" of InfluxDB 3, made by the first write`
}

const ensureDatabase = async (server: Server): Promise<string> => {
  const { database } = server
  const policies = async () =>
    (await server.query(`show retention policies on ${identifier(database)}`)).series[0]?.values ?? []
  let made = ''
  let found: unknown[][]
  try {
    found = await policies()
  } catch (error) {
    if (!(error instanceof InfluxError) || !/database not found/i.test(error.message)) throw error
    await server.query(`create database ${identifier(database)} with duration inf`)
    made = ', made now'
    found = await policies()
  }
  const [name, duration] = found.find(policy => policy[4] === true) ?? []
  if (duration !== '0s')
    throw finite(`database "${database}"`, `its policy "${String(name)}" keeps ${String(duration)}`)
  return `database "${database}" of InfluxDB 1.x, retention endless${made}`
}

interface Buckets {
  buckets?: { orgID: string; retentionRules?: { everySeconds: number }[] }[]
}
const ensureBucket = async (server: Server): Promise<string> => {
  const { database, org = '' } = server
  const path = `/api/v2/buckets?org=${encodeURIComponent(org)}&name=${encodeURIComponent(database)}`
  const find = async () => ((await server.call('GET', path)) as Buckets | undefined)?.buckets?.[0]
  const bucket = await find().catch(error => {
    if (error instanceof InfluxError && error.status === 404) return undefined
    throw error
  })
  if (bucket) {
    const seconds = bucket.retentionRules?.[0]?.everySeconds ?? 0
    if (seconds > 0) throw finite(`bucket "${database}"`, `it keeps ${seconds} s`)
    return `bucket "${database}" of InfluxDB 2.x, retention endless`
  }
  const orgs = (await server.call('GET', `/api/v2/orgs?org=${encodeURIComponent(org)}`)) as { orgs?: { id: string }[] }
  const orgID = orgs.orgs?.[0]?.id
  if (orgID === undefined) throw new UserError(`historian: there is no organisation "${org}" in InfluxDB`, EXIT.config)
  await server.call('POST', '/api/v2/buckets', { orgID, name: database, retentionRules: [] })
  return `bucket "${database}" of InfluxDB 2.x, retention endless, made now`
}

const finite = (what: string, how: string): UserError =>
  new UserError(
    `historian: ${what} of InfluxDB does not keep readings for ever (${how}): set its retention to endless, or name another`,
    EXIT.config,
  )

/** All its points and series; nothing where there is no such measurement. */
export const dropMeasurement = async (server: Server, measurement: string): Promise<void> => {
  if (server.version === 1) {
    await server.query(`drop measurement ${identifier(measurement)}`).catch(error => {
      if (!(error instanceof InfluxError) || !/measurement not found/i.test(error.message)) throw error
    })
  } else if (server.version === 2) {
    const { database, org = '' } = server
    const path = `/api/v2/delete?org=${encodeURIComponent(org)}&bucket=${encodeURIComponent(database)}`
    const predicate = `_measurement="${measurement.replace(/["\\]/g, '\\$&')}"`
    await server.call('POST', path, { start: '1677-09-22T00:00:00Z', stop: '2262-04-11T00:00:00Z', predicate })
  }
}

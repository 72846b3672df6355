/** Whether the cloud is there and takes our credentials. Under another client id: a gateway that runs stays connected. */
import { readFile } from 'node:fs/promises'
import { receiptTopic } from '@penstock/frame'
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import type { GatewayConfig } from '../config.ts'
import { withTimeLimit } from '../time-limit.ts'

export interface UplinkProbe {
  state: 'ok' | 'refused' | 'unreachable'
  /** One sentence, where it is not ok. */
  why?: string
  /** The other side's clock minus ours, where it says: to a second. */
  clockAheadMs?: number
  /** What a broker calls itself, e.g. "mosquitto version 2.0.11". */
  broker?: string
}

export interface ProbeDeps {
  nowMs(): number
  random(): number
  signal: AbortSignal
}

const limits = { connectMsMax: 5000, brokerMsMax: 700 }

export const probeUplink = (
  config: Pick<GatewayConfig, 'gateway' | 'uplink'>,
  deps: ProbeDeps,
): Promise<UplinkProbe> =>
  config.uplink.kind === 'mqtt'
    ? probeMqtt(config.gateway, config.uplink, deps)
    : probeHttp(config.gateway, config.uplink, deps)

type Mqtt = Extract<GatewayConfig['uplink'], { kind: 'mqtt' }>
type Http = Extract<GatewayConfig['uplink'], { kind: 'http' }>

const probeMqtt = async (gateway: string, uplink: Mqtt, deps: ProbeDeps): Promise<UplinkProbe> => {
  const { url, username, password, caFile } = uplink
  let ca: Buffer | undefined
  try {
    if (caFile !== undefined) ca = await readFile(caFile)
  } catch (error) {
    return { state: 'refused', why: `${caFile} cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
  const settings: IClientOptions = {
    clientId: `penstock-check-${Math.floor(deps.random() * 2 ** 32).toString(36)}`,
    clean: true,
    protocolVersion: 4,
    connectTimeout: limits.connectMsMax,
    reconnectPeriod: 0,
    queueQoSZero: false,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca !== undefined && { ca }),
  }
  const client = connect(url, settings)
  try {
    const refusal = await connected(client, deps.signal)
    if (refusal) return refusal
    return await askBroker(client, gateway)
  } finally {
    client.on('error', () => {})
    client.end(true)
  }
}

/** `undefined` when CONNACK has come. */
const connected = (client: MqttClient, signal: AbortSignal): Promise<UplinkProbe | undefined> =>
  new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    const settle = (probe?: UplinkProbe) => {
      signal.removeEventListener('abort', onAbort)
      resolve(probe)
    }
    client.once('connect', () => settle())
    client.once('error', error => {
      const { code, message } = error as Error & { code?: unknown }
      // CONNACK's codes are numbers; those of sockets are texts.
      const state = typeof code === 'number' ? 'refused' : 'unreachable'
      settle({ state, why: message || String(code) })
    })
    client.once('close', () => settle({ state: 'unreachable', why: 'it closed the connection, or did not answer' }))
  })

const askBroker = async (client: MqttClient, gateway: string): Promise<UplinkProbe> => {
  const topic = receiptTopic(gateway)
  const [granted] = await client.subscribeAsync(topic, { qos: 1 }).catch(() => [])
  if (!granted || granted.qos > 2) return { state: 'refused', why: `these credentials may not read ${topic}` }
  const broker = await new Promise<string | undefined>(resolve => {
    const timer = setTimeout(() => resolve(undefined), limits.brokerMsMax)
    client.on('message', (from, payload) => {
      if (from !== '$SYS/broker/version') return
      clearTimeout(timer)
      resolve(payload.toString('utf8').slice(0, 100))
    })
    client.subscribe('$SYS/broker/version', { qos: 0 }, () => {})
  })
  return { state: 'ok', ...(broker !== undefined && { broker }) }
}

/** An empty status is refused as such only after the credentials were taken: nothing is stored of it. */
const probeHttp = async (gateway: string, { url, token }: Http, deps: ProbeDeps): Promise<UplinkProbe> => {
  const target = new URL('v1/status', url.endsWith('/') ? url : `${url}/`)
  target.searchParams.set('gateway', gateway)
  const headers = {
    'content-type': 'application/octet-stream',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  try {
    const answer = await withTimeLimit(deps.signal, limits.connectMsMax, async signal => {
      const begun = await fetch(target, { method: 'POST', headers, body: '', signal })
      await begun.body?.cancel()
      return begun
    })
    const ahead = clockAhead(answer, deps.nowMs())
    const clock = ahead === undefined ? {} : { clockAheadMs: ahead }
    if (answer.status === 401 || answer.status === 403) {
      return { state: 'refused', why: `it answers ${answer.status}: the token is not taken`, ...clock }
    }
    if (answer.status === 400 || answer.ok) return { state: 'ok', ...clock }
    return { state: 'refused', why: `it answers ${answer.status}, as no cloud of Penstock does`, ...clock }
  } catch (error) {
    deps.signal.throwIfAborted()
    const { code, message } = ((error as Error).cause ?? error) as { code?: string; message?: string }
    return { state: 'unreachable', why: String(code ?? message) }
  }
}

/** By the Date header, which counts whole seconds. */
const clockAhead = (answer: Response, nowMs: number): number | undefined => {
  const theirs = Date.parse(answer.headers.get('date') ?? '')
  return Number.isNaN(theirs) ? undefined : theirs + 500 - nowMs
}

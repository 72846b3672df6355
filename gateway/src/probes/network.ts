/** Instruments and servers that sources ask over the network: whether something listens there. */
import { connect } from 'node:net'
import type { SourceOptions } from '../config.ts'
import { type Finding, ok, warn } from './finding.ts'

const connectMsMax = 3000
const ports: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'mqtt:': 1883,
  'mqtts:': 8883,
  'ws:': 80,
  'wss:': 443,
}

/** Host and port of a source that is reached over TCP. */
export const addressOf = (source: SourceOptions): { host: string; port: number } | undefined => {
  const { tcp, url } = source as { tcp?: { host: string; port: number }; url?: unknown }
  if (tcp) return { host: tcp.host, port: tcp.port }
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined
  const { hostname, port, protocol } = new URL(url)
  const known = port === '' ? ports[protocol] : Number(port)
  return known === undefined ? undefined : { host: hostname.replace(/^\[|\]$/g, ''), port: known }
}

export const probeAddress = async (
  id: string,
  { host, port }: { host: string; port: number },
  signal: AbortSignal,
): Promise<Finding> => {
  const why = await whyNotReached(host, port, signal)
  if (why === undefined) return ok(id, `${host}:${port} answers`)
  return warn(
    id,
    `${host}:${port} cannot be reached (${why}); the gateway tries again and again`,
    'is it switched on, and the address right?',
  )
}

/** An error code, or `undefined` where a connection was taken. */
export const whyNotReached = (host: string, port: number, signal: AbortSignal): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const onAbort = () => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const settle = (why?: string) => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(why)
    }
    socket.setTimeout(connectMsMax, () => settle(`no answer within ${connectMsMax / 1000} s`))
    socket.once('connect', () => settle())
    socket.once('error', error => settle((error as NodeJS.ErrnoException).code ?? error.message))
  })

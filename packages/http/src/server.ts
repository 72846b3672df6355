/** The HTTP server under the app: addresses, limits, and an end that does not wait for open event streams. */
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { EXIT, UserError } from '@penstock/frame'

export interface ServerOptions {
  fetch(request: Request, env: object): Response | Promise<Response>
  host: string
  /** 0: any free port. */
  port: number
}
export interface HttpServer {
  /** `http://host:port`, with the port that was given. */
  url: string
  /** Takes no new request, lets those under way end for a short time, then cuts what is still open. */
  close(): Promise<void>
}

const connectionsMax = 2000
const headersMsMax = 15_000
/** A whole request; 8 MiB over a slow line take a while. */
const requestMsMax = 120_000
const closeMsMax = 1000

/** @throws UserError where the address cannot be had */
export const openServer = ({ fetch, host, port }: ServerOptions): Promise<HttpServer> =>
  new Promise((resolve, reject) => {
    const server = serve(
      { fetch, hostname: host, port, serverOptions: { headersTimeout: headersMsMax, requestTimeout: requestMsMax } },
      (address: AddressInfo) => {
        server.off('error', refused)
        const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
        resolve({ url: `http://${name}:${address.port}`, close })
      },
    )
    if ('maxConnections' in server) server.maxConnections = connectionsMax
    const refused = (cause: NodeJS.ErrnoException): void => {
      const why =
        cause.code === 'EADDRINUSE'
          ? 'another program listens there'
          : `it cannot be had (${cause.code ?? cause.message})`
      reject(new UserError(`listen: ${host}:${port}: ${why}`, EXIT.unavailable, { cause }))
    }
    server.once('error', refused)
    const close = (): Promise<void> =>
      new Promise(done => {
        const timer = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), closeMsMax)
        server.close(() => {
          clearTimeout(timer)
          done()
        })
        if ('closeIdleConnections' in server) server.closeIdleConnections()
      })
  })

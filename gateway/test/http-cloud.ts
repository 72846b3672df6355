/** A cloud over HTTP that keeps each envelope once, by its number, as the contract of the wire says; as many addresses as wanted. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { decodeEnvelope, type Envelope } from '@penstock/frame'

export interface HttpCloud {
  readonly envelopes: Envelope[]
  /** Opens one more address. */
  listen(): Promise<{ url: string; requests(): number }>
  close(): Promise<void>
}

export const openHttpCloud = async (): Promise<HttpCloud> => {
  const envelopes: Envelope[] = []
  const servers: Server[] = []
  let through = 0
  let epoch = ''
  return {
    envelopes,
    async listen() {
      let requests = 0
      const server = createServer(async (request, response) => {
        requests++
        const url = new URL(request.url ?? '/', 'http://x')
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const body = Buffer.concat(chunks)
        if (url.pathname === '/v1/status') {
          epoch = String((JSON.parse(body.toString()) as { epoch: string }).epoch)
          response.end(JSON.stringify({ epoch, through }))
          return
        }
        const seq = Number(url.searchParams.get('seq'))
        if (seq > through + 1) {
          response.statusCode = 409
          response.end(JSON.stringify({ receipt: { epoch, through } }))
          return
        }
        if (seq === through + 1) {
          envelopes.push(decodeEnvelope(body))
          through = seq
        }
        response.writeHead(204, { 'penstock-through': String(through) }).end()
      })
      servers.push(server)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      return { url: `http://127.0.0.1:${port}`, requests: () => requests }
    },
    async close() {
      for (const server of servers) {
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
      }
    },
  }
}

/** A number column of one stream, all rows in the order of arrival. */
export const numbersOf = (envelopes: readonly Envelope[], stream: string, column: string): number[] =>
  envelopes
    .flatMap(envelope => envelope.frames)
    .filter(frame => frame.stream === stream)
    .flatMap(frame => Array.from(frame.columns.find(c => c.name === column)?.values ?? [], Number))

/**
 * The uplink over HTTP, where MQTT is blocked: the same envelopes by `POST /v1/frames`, one after the other on a kept-alive
 * connection; 204 is the receipt. A status by `POST /v1/status` answers with what the cloud has.
 */
import { encodeStatus, receiptSchema, type Status } from '@penstock/frame'
import * as z from 'zod'
import { createReceiptQueue } from '../receipt-queue.ts'
import { withTimeLimit } from '../time-limit.ts'
import type { Link, Uplink } from '../uplink.ts'

export interface HttpUplinkOptions {
  gateway: string
  /** Address of the cloud, e.g. https://cloud.example */
  url: string
  /** Shown as bearer token. */
  token?: string
  /** Limit of one request. */
  requestMsMax?: number
}

/** An answer, read to its end within the time limit. */
interface Answer {
  status: number
  headers: Headers
  text: string
}
const answerCharsMax = 500
const problemSchema = z.object({ detail: z.string().optional(), receipt: receiptSchema.optional() })

export const createHttpUplink = ({ gateway, url, token, requestMsMax = 30_000 }: HttpUplinkOptions): Uplink => ({
  async connect(_offline, signal) {
    signal.throwIfAborted()
    const base = url.endsWith('/') ? url : `${url}/`
    const headers = {
      'content-type': 'application/octet-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const stop = new AbortController()
    const receipts = createReceiptQueue()
    const { push } = receipts

    const post = async (
      path: string,
      query: Record<string, string>,
      body: Uint8Array,
      outer?: AbortSignal,
    ): Promise<Answer> => {
      const target = new URL(path, base)
      target.search = new URLSearchParams({ gateway, ...query }).toString()
      try {
        return await withTimeLimit([stop.signal, ...(outer ? [outer] : [])], requestMsMax, async signal => {
          const answer = await fetch(target, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer>, signal })
          return { status: answer.status, headers: answer.headers, text: await answer.text() }
        })
      } catch (error) {
        // fetch says "fetch failed"; what a person can act on stands in its cause.
        const cause = (error as Error).cause as NodeJS.ErrnoException | undefined
        throw new Error(`${target.host}: ${cause?.code ?? cause?.message ?? (error as Error).message}`, {
          cause: error,
        })
      }
    }
    const refused = ({ status, text }: Answer): Error => {
      const problem = problemSchema.safeParse(parse(text))
      const said = (problem.success && problem.data.detail) || text.slice(0, answerCharsMax)
      return new Error(`${new URL(base).host} answered ${status}${said === '' ? '' : `: ${said}`}`)
    }

    // One request at a time: the order of arrival is the order of the numbers.
    let last: Promise<void> = Promise.resolve()
    const sendOne = async (epoch: string, seq: number, body: Uint8Array, outer: AbortSignal): Promise<void> => {
      const answer = await post('v1/frames', { epoch, seq: String(seq) }, body, outer)
      if (answer.status === 204) {
        const through = Number(answer.headers.get('penstock-through') ?? seq)
        return push({ epoch, through: Number.isSafeInteger(through) ? through : seq })
      }
      if (answer.status === 409) {
        const problem = problemSchema.safeParse(parse(answer.text))
        const receipt = problem.success ? problem.data.receipt : undefined
        if (receipt) return push({ epoch: receipt.epoch, through: receipt.through, resend: true })
      }
      throw refused(answer)
    }

    const link: Link = {
      send(epoch, seq, body, outer) {
        last = last.then(() => sendOne(epoch, seq, body, outer))
        return last
      },
      async status(status: Status) {
        const answer = await post('v1/status', {}, encodeStatus(status))
        if (answer.status !== 200) throw refused(answer)
        const receipt = receiptSchema.parse(JSON.parse(answer.text))
        push({ epoch: receipt.epoch, through: receipt.through })
      },
      receipts: receipts.read,
      async close() {
        stop.abort()
        await last.catch(() => {})
      },
    }
    return link
  },
})

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

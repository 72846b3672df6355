/** Asks the service as the reader says, and keeps what comes within bounds. */

export interface Answered {
  status: number
  statusText: string
  type: string
  /** Until the last byte, ms. */
  ms: number
  bytes: number
  body: string
  /** Why the rest of the body is not here. */
  cut?: 'long' | 'stopped' | 'binary'
}

const bodyBytesMax = 256 * 1024
const paintMs = 200

/**
 * @param onPart what has come so far, for an answer that does not end by itself
 * @throws where nothing came at all
 */
export const ask = async (url: string, signal: AbortSignal, onPart: (part: Answered) => void): Promise<Answered> => {
  const began = performance.now()
  const response = await fetch(url, { signal, headers: { accept: '*/*' } })
  const decoder = new TextDecoder()
  const answered: Answered = {
    ...{ status: response.status, statusText: response.statusText, ms: 0, bytes: 0, body: '' },
    type: (response.headers.get('content-type') ?? '').split(';')[0] ?? '',
  }
  if (!isText(answered.type)) {
    await response.body?.cancel()
    return { ...answered, ms: performance.now() - began, cut: 'binary' }
  }
  const reader = response.body?.getReader()
  let timer = 0
  const paintSoon = (): void => {
    timer ||= window.setTimeout(() => {
      timer = 0
      onPart({ ...answered })
    }, paintMs)
  }
  try {
    while (reader) {
      const { done, value } = await reader.read()
      answered.ms = performance.now() - began
      if (done) break
      const room = bodyBytesMax - answered.bytes
      answered.bytes += value.length
      answered.body += decoder.decode(value.subarray(0, room), { stream: true })
      if (value.length > room) {
        answered.cut = 'long'
        await reader.cancel()
        break
      }
      paintSoon()
    }
  } catch (cause) {
    if (!signal.aborted) throw cause
    answered.cut = 'stopped'
  } finally {
    window.clearTimeout(timer)
  }
  if (answered.cut === undefined && answered.type.endsWith('json')) answered.body = indented(answered.body)
  return answered
}

const isText = (type: string): boolean => type === '' || type.startsWith('text/') || type.endsWith('json')

const indented = (json: string): string => {
  try {
    return JSON.stringify(JSON.parse(json), null, 2)
  } catch {
    return json
  }
}

/** As it is typed into a shell. */
export const curlOf = (method: string, url: string, bodyType?: string): string => {
  const quoted = `'${url.replaceAll("'", "'\\''")}'`
  if (method === 'get') return `curl ${quoted}`
  const body = bodyType === undefined ? '' : ` -H 'content-type: ${bodyType}' --data-binary @body`
  return `curl -X ${method.toUpperCase()}${body} ${quoted}`
}

/**
 * The built page, served from memory. Vite names assets by their content, so these are cached for ever; the rest is asked
 * for again each time and answered by its ETag.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Context } from 'hono'
import { encodingFor, tagMatches } from './transfer.ts'

export interface WebFile {
  body: Uint8Array<ArrayBuffer>
  gzip?: Uint8Array<ArrayBuffer>
  brotli?: Uint8Array<ArrayBuffer>
  type: string
  etag: string
  immutable: boolean
}
/** By path as the browser asks for it, e.g. `/` and `/assets/index-3f2a.js`. */
export type WebFiles = ReadonlyMap<string, WebFile>

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
}
const filesMax = 200
const fileBytesMax = 4 * 1024 * 1024

/**
 * Reads a build (a `dist` folder) whole. `undefined` where there is none.
 * @param views paths that the page itself makes sense of: each is answered with its one document
 */
export const loadWeb = async (dir: string, views: readonly string[] = []): Promise<WebFiles | undefined> => {
  let entries: Awaited<ReturnType<typeof list>>
  try {
    entries = await list(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const files = new Map<string, WebFile>()
  for (const path of entries) files.set(path === '/index.html' ? '/' : path, await loadFile(dir, path))
  const document = files.get('/')
  if (!document) return undefined
  for (const view of views) files.set(view, document)
  return files
}

const list = async (dir: string): Promise<string[]> => {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile() && extname(entry.name) in types)
    .slice(0, filesMax)
    .map(entry => `/${relative(dir, join(entry.parentPath, entry.name)).split(sep).join('/')}`)
}

const loadFile = async (dir: string, path: string): Promise<WebFile> => {
  const bytes = await readFile(join(dir, path))
  if (bytes.length > fileBytesMax) throw new Error(`${path} of the built page has more than ${fileBytesMax} bytes`)
  const type = types[extname(path)] ?? 'application/octet-stream'
  const packs = !type.startsWith('image/png')
  return {
    body: new Uint8Array(bytes),
    ...(packs && {
      gzip: new Uint8Array(await promisify(gzip)(bytes, { level: 9 })),
      brotli: new Uint8Array(
        await promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
      ),
    }),
    type,
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
    immutable: path.startsWith('/assets/'),
  }
}

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
export const pageHeaders = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

/** Where the page is not built: how to build it, and an address that answers all the same. */
export interface Unbuilt {
  build: string
  api: string
}
const notBuilt = ({ build, api }: Unbuilt): string =>
  `<!doctype html><meta charset="utf-8"><title>Penstock</title><p>The page is not built yet: run <code>${build}</code> and start again. The API is at <a href="${api}">${api}</a>.`

/** Answers a GET or HEAD of the page; `undefined` where no file has this path. */
export const webResponse = (files: WebFiles | undefined, c: Context, unbuilt: Unbuilt): Response | undefined => {
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return undefined
  const file = files?.get(c.req.path)
  if (!file) {
    if (files || c.req.path !== '/') return undefined
    return new Response(notBuilt(unbuilt), {
      status: 503,
      headers: { ...pageHeaders, 'content-type': 'text/html; charset=utf-8' },
    })
  }
  const headers: Record<string, string> = {
    ...pageHeaders,
    'content-type': file.type,
    etag: file.etag,
    vary: 'accept-encoding',
    'cache-control': file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  }
  if (tagMatches(c.req.header('if-none-match'), file.etag)) return new Response(null, { status: 304, headers })
  const accepted = encodingFor(c.req.header('accept-encoding'))
  const [encoding, body] =
    accepted === 'br' && file.brotli
      ? ['br', file.brotli]
      : accepted === 'gzip' && file.gzip
        ? ['gzip', file.gzip]
        : [undefined, file.body]
  if (encoding) headers['content-encoding'] = encoding
  headers['content-length'] = String(body.byteLength)
  return new Response(c.req.method === 'HEAD' ? null : body, { headers })
}

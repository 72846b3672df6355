// Installs the packages through pnpm, fetched by npx where it is missing. Does nothing when nothing changed since.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const top = fileURLToPath(new URL('..', import.meta.url))
const oldest = [20, 19]

export const install = () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    fail(`Penstock needs Node ${oldest.join('.')} or newer; this is ${process.versions.node}.`)
  }
  const stamp = join(top, 'node_modules', '.penstock-installed')
  const wanted = createHash('sha256')
    .update(readFileSync(join(top, 'pnpm-lock.yaml')))
    .update(process.versions.node)
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  process.stdout.write('Installing the packages (once) …\n')
  const args = ['--yes', 'pnpm@10', 'install', '--frozen-lockfile', '--reporter=append-only', '--loglevel=warn']
  const result = spawnSync('npx', args, {
    cwd: top,
    shell: process.platform === 'win32',
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, npm_config_loglevel: 'error', CI: 'true' },
  })
  if (result.status !== 0) fail('The packages could not be installed; see above. Is the npm registry within reach?')
  writeFileSync(stamp, wanted)
}

/** Runs a step of a tool in node_modules; ends this program where it fails. */
export const step = (name, command, args, env = {}) => {
  const began = Date.now()
  const result = spawnSync(process.execPath, [join(top, 'node_modules', command), ...args], {
    cwd: top,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  })
  if (result.status !== 0) fail(`${name} failed.`, result.status ?? 1)
  process.stdout.write(`${name}: ok (${((Date.now() - began) / 1000).toFixed(1)} s)\n`)
}

/** Writes the types of the HTTP API for the page, from the service's own OpenAPI document, where its routes changed. */
export const generateClient = () => {
  const web = join(top, 'dashboards', 'web')
  const folder = join(web, 'src', 'generated')
  const stamp = join(folder, '.made')
  const wanted = hashOf([
    join(top, 'pnpm-lock.yaml'),
    ...listFiles(join(top, 'cloud', 'src')),
    ...listFiles(join(top, 'packages', 'frame', 'src')),
  ])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  mkdirSync(folder, { recursive: true })
  const document = join(folder, 'openapi.json')
  const program = ['--conditions=@penstock/source', '--import', 'tsx', join(top, 'cloud', 'src', 'main.ts')]
  const cli = join(web, 'node_modules', 'openapi-typescript', 'bin', 'cli.js')
  for (const args of [
    [...program, 'openapi', document],
    [cli, document, '--output', join(folder, 'api.d.ts'), '--alphabetize'],
  ]) {
    const result = spawnSync(process.execPath, args, { cwd: top, stdio: ['ignore', 'ignore', 'inherit'] })
    if (result.status !== 0) fail('The types of the API could not be made; see above.')
  }
  writeFileSync(stamp, wanted)
}

const hashOf = files => {
  const hash = createHash('sha256')
  for (const file of files) hash.update(file.slice(top.length)).update(readFileSync(file))
  return hash.digest('hex')
}

/** Builds the pages of cloud and gateway where they are missing or older than their sources. */
export const buildPage = () => {
  generateClient()
  const web = join(top, 'dashboards', 'web')
  buildIn(web, [])
  // It has the cloud's colours, type and header.
  buildIn(join(top, 'dashboards', 'gateway'), listFiles(join(web, 'src')))
}

const buildIn = (web, others) => {
  const stamp = join(web, 'dist', '.built')
  const files = [
    'package.json',
    'vite.config.ts',
    'index.html',
    ...listFiles(join(web, 'src')),
    ...listFiles(join(web, 'public')),
    ...others,
  ]
  const hash = createHash('sha256')
  for (const file of files) {
    const path = isAbsolute(file) ? file : join(web, file)
    if (existsSync(path)) hash.update(relative(web, path)).update(readFileSync(path))
  }
  const wanted = hash.digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  const vite = join(web, 'node_modules', 'vite', 'bin', 'vite.js')
  const result = spawnSync(process.execPath, [vite, 'build', '--logLevel', 'warn'], {
    cwd: web,
    stdio: ['ignore', 'inherit', 'inherit'],
    // Called by a test, the build would be one for developers: larger, with the paths of this machine in it.
    env: { ...process.env, NODE_ENV: 'production' },
  })
  if (result.status !== 0) fail('The page could not be built; see above.')
  writeFileSync(stamp, wanted)
}

const listFiles = folder =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath ?? entry.path, entry.name))
        .sort()
    : []

const fail = (message, code = 1) => {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

/**
 * The dashboards against the types that Grafana publishes of its dashboard schema (@grafana/schema): a wrong or unknown key of
 * a panel, a variable or an option does not compile.
 */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const top = fileURLToPath(new URL('..', import.meta.url))
const dashboards = join(top, 'dashboards', 'grafana', 'dashboards')
// Below node_modules, where the package is found and git looks at nothing.
const work = join(top, 'test', 'node_modules', '.grafana-schema')
const tsc = join(top, 'node_modules', 'typescript', 'bin', 'tsc')
const run = promisify(execFile)

/** In JSON an enum is its value. */
const prelude = `import type { Dashboard } from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen'
type Json<T> = T extends string ? \`\${T}\` : T extends number ? number : T extends (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]: Json<T[K]> } : T
export const dashboard: Json<Dashboard> = `

beforeAll(async () => {
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { recursive: true })
})
afterAll(() => rm(work, { recursive: true, force: true }))

/** What the compiler says of a dashboard; empty where it is one. */
const complaints = async (name: string, json: string): Promise<string> => {
  const file = join(work, `${name}.ts`)
  await writeFile(file, prelude + json)
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2022',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
  ]
  return run(process.execPath, [tsc, ...options, '--ignoreConfig', file], { cwd: work }).then(
    () => '',
    (error: { stdout?: string }) => error.stdout ?? String(error),
  )
}

const names = (await readdir(dashboards)).filter(name => name.endsWith('.json'))

test.each(names)('%s is a dashboard of the published schema', async name => {
  expect(await complaints(name.replace('.json', ''), await readFile(join(dashboards, name), 'utf8'))).toBe('')
})

test('a misspelt key and a wrong value do not pass', async () => {
  const text = await readFile(join(dashboards, 'gateways.json'), 'utf8')
  expect(await complaints('misspelt', text.replace('"schemaVersion"', '"schemaVersoin"'))).toMatch(/schemaVersoin/)
  expect(await complaints('wrong', text.replace(/"refresh": "[^"]*"/, '"refresh": 5'))).toMatch(/not assignable/)
})

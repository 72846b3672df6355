// npm test: installs, lints, checks types, builds the page, runs every test that this machine can run.
//   --no-tests  stops before the tests        --faults  runs the long fault tests instead
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildPage, generateClient, install, step, top } from './install.mjs'

const flags = process.argv.slice(2)
const faults = flags.includes('--faults')
const rest = flags.filter(flag => !['--no-tests', '--faults'].includes(flag))

install()
generateClient()
step('lint', '@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.'])
step('types', 'typescript/bin/tsc', ['-b'])
buildPage()
if (flags.includes('--no-tests')) process.exit(0)

const results = join(top, 'node_modules', '.penstock-results.json')
rmSync(results, { force: true })
const args = [
  'run',
  '--config',
  'test/vitest.config.ts',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${results}`,
]
const run = spawnSync(process.execPath, [join(top, 'node_modules', 'vitest', 'vitest.mjs'), ...args, ...rest], {
  cwd: top,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, ...(faults && { PENSTOCK_FAULTS: '1' }) },
})
if (existsSync(results)) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(results, 'utf8'))
  const skipped = numPendingTests + numTodoTests
  process.stdout.write(
    `${numPassedTests} passed, ${numFailedTests} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
  )
}
process.exit(run.status ?? 1)

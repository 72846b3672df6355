// pnpm bench [name …]: prints ratios against a peer or the physical limit, measured in the same run.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { buildPage, install, top } from './install.mjs'

install()
buildPage()
const args = [
  '--expose-gc',
  '--conditions=@penstock/source',
  '--import',
  'tsx',
  join('test', 'bench', 'main.ts'),
  ...process.argv.slice(2),
]
process.exit(spawnSync(process.execPath, args, { cwd: top, stdio: 'inherit' }).status ?? 1)

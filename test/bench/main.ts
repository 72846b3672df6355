/**
 * `pnpm bench [log] [csv] [lake] [influx] [path] [spool] [start] [tdms] [formats] [page]`: each line a figure with its peer or physical limit of the same run.
 */
import { benchCsv } from './csv.bench.ts'
import { benchFormats } from './formats.bench.ts'
import { benchInflux } from './influx.bench.ts'
import { benchLake } from './lake.bench.ts'
import { benchLog } from './log.bench.ts'
import { benchPage } from './page.bench.ts'
import { benchPath } from './path.bench.ts'
import { benchSpool } from './spool.bench.ts'
import { benchStart } from './start.bench.ts'
import { benchTdms } from './tdms.bench.ts'

const print = (line: string) => void process.stdout.write(`${line}\n`)
const benches: Record<string, (print: (line: string) => void) => Promise<void>> = {
  log: benchLog,
  csv: benchCsv,
  lake: benchLake,
  influx: benchInflux,
  path: benchPath,
  spool: benchSpool,
  start: benchStart,
  tdms: benchTdms,
  formats: benchFormats,
  page: benchPage,
}

const named = process.argv.slice(2)
for (const name of named) {
  if (!Object.hasOwn(benches, name)) {
    process.stderr.write(`"${name}" is no bench; expected ${Object.keys(benches).join(', ')}\n`)
    process.exit(2)
  }
}
for (const [name, bench] of Object.entries(benches)) {
  if (named.length > 0 && !named.includes(name)) continue
  print(`\n── ${name} ──`)
  await bench(print)
}

// pnpm package [target …]: builds one folder and one tar.gz of the gateway per target. Each runs with Node alone: no pnpm, no
// network, no compiler. Targets: linux-x64, linux-arm64 (Raspberry Pi OS), win32-x64; all of them without an argument.
//   --out <folder>  where they are put (dist)
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { buildPage, install, top } from './install.mjs'

install()
buildPage()
const { build } = await import('esbuild')
const { create } = await import('tar')

const targets = ['linux-x64', 'linux-arm64', 'win32-x64']
const packageBytesMax = 25 * 1024 * 1024
const { values, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true })
const out = resolve(values.out ?? join(top, 'dist'))
const { version } = JSON.parse(readFileSync(join(top, 'gateway', 'package.json'), 'utf8'))

const fail = message => {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
for (const target of positionals) {
  if (!targets.includes(target)) fail(`"${target}" is no target; expected some of ${targets.join(', ')}`)
}

/** Bundles the gateway once: its JavaScript is the same on every target. */
const bundle = async folder => {
  const result = await build({
    absWorkingDir: top,
    entryPoints: [join(top, 'gateway', 'src', 'main.ts')],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    conditions: ['@penstock/source'],
    chunkNames: '[name]-[hash]',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    // What is CommonJS below asks for these; `join(__dirname, '..')` is where the serial bindings look for prebuilds/.
    banner: {
      js: "import{createRequire as __cr}from'node:module';import{dirname as __dn}from'node:path';import{fileURLToPath as __fp}from'node:url';const require=__cr(import.meta.url),__filename=__fp(import.meta.url),__dirname=__dn(__filename);",
    },
    logLevel: 'warning',
  })
  if (result.warnings.length > 0) fail('The bundle has warnings; see above.')
  return Object.keys(result.metafile.inputs)
}

/** The packages whose code is in the bundle, with the licences that they ask to be shipped. */
const licencesOf = inputs => {
  const packages = new Map()
  for (const input of inputs.filter(path => path.includes('node_modules'))) {
    const folder = packageOf(dirname(join(top, input)))
    if (!folder || packages.has(folder)) continue
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const file = readdirSync(folder).find(entry => /^(licen[cs]e|copying)/i.test(entry))
    const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '(the package ships no text of its licence)'
    packages.set(folder, { title: `${name} ${version} · ${license}`, text })
  }
  const sorted = [...packages.values()].sort((a, b) => (a.title < b.title ? -1 : 1))
  return `${sorted.map(({ title, text }) => `${title}\n${'='.repeat(title.length)}\n\n${text}\n`).join('\n\n')}`
}
const packageOf = folder => {
  for (let at = folder; at.includes('node_modules'); at = dirname(at)) {
    const file = join(at, 'package.json')
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name) return at
  }
  return undefined
}

const serialBindings = () => {
  const fromGateway = createRequire(join(top, 'gateway', 'package.json'))
  const fromSerialport = createRequire(fromGateway.resolve('serialport'))
  return packageOf(dirname(fromSerialport.resolve('@serialport/bindings-cpp')))
}

const sizeOf = folder =>
  readdirSync(folder, { recursive: true })
    .map(name => statSync(join(folder, name)))
    .reduce((sum, stats) => sum + (stats.isFile() ? stats.size : 0), 0)

const work = join(out, '.work')
rmSync(work, { recursive: true, force: true })
mkdirSync(work, { recursive: true })
const inputs = await bundle(join(work, 'lib'))
writeFileSync(join(work, 'lib', 'package.json'), '{"type":"module"}\n')
writeFileSync(join(work, 'THIRD-PARTY.txt'), licencesOf(inputs))

for (const target of positionals.length > 0 ? positionals : targets) {
  const name = `penstock-gateway-${version}-${target}`
  const folder = join(out, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(join(work, 'lib'), join(folder, 'lib'), { recursive: true })
  cpSync(join(work, 'THIRD-PARTY.txt'), join(folder, 'THIRD-PARTY.txt'))
  cpSync(join(top, 'LICENSE'), join(folder, 'LICENSE'))
  const page = join(top, 'dashboards', 'gateway', 'dist')
  if (existsSync(page))
    cpSync(page, join(folder, 'page'), { recursive: true, filter: path => !path.endsWith('.built') })
  cpSync(join(serialBindings(), 'prebuilds', target), join(folder, 'prebuilds', target), { recursive: true })
  const windows = target.startsWith('win32')
  const notShipped = path => !path.endsWith('.gitattributes')
  cpSync(join(top, 'gateway', 'install', windows ? 'windows' : 'linux'), folder, {
    recursive: true,
    filter: notShipped,
  })
  const bytes = sizeOf(folder)
  if (bytes > packageBytesMax) fail(`${name} has ${bytes} bytes, more than the ${packageBytesMax} that it may have.`)
  const archive = join(out, `${name}.tar.gz`)
  // The same input makes the same archive: sorted, owned by nobody, one date.
  const entries = readdirSync(folder, { recursive: true })
    .filter(entry => statSync(join(folder, entry)).isFile())
    .map(entry => join(name, entry).split(sep).join('/'))
    .sort()
  await create(
    { cwd: out, file: archive, gzip: { level: 9 }, portable: true, mtime: new Date(0), noPax: true },
    entries,
  )
  const hash = createHash('sha256').update(readFileSync(archive)).digest('hex')
  writeFileSync(`${archive}.sha256`, `${hash}  ${name}.tar.gz\n`)
  const mib = n => `${(n / 1024 / 1024).toFixed(1)} MiB`
  process.stdout.write(
    `${relative(process.cwd(), folder) || '.'}: ${mib(bytes)}, tar.gz ${mib(statSync(archive).size)}\n`,
  )
}
rmSync(work, { recursive: true, force: true })

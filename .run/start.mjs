// npm start: installs, then runs a gateway and the cloud side by side, with a broker and a lake of their own, and a
// laboratory whose instruments write files.
// What they keep stands in .data/ (or where PENSTOCK_DATA says); delete that folder to begin anew.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { buildPage, install, top } from './install.mjs'

install()
buildPage()

const data = resolve(process.env.PENSTOCK_DATA ?? join(top, '.data'))
const inbox = join(data, 'inbox')
const instruments = join(data, 'instruments')
for (const folder of [inbox, instruments]) mkdirSync(folder, { recursive: true })

const isFree = port =>
  new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
const portsTried = 50
const freePort = async wanted => {
  for (let port = wanted; port < wanted + portsTried; port++) if (await isFree(port)) return port
  process.stderr.write(`None of the ports ${wanted} to ${wanted + portsTried - 1} is free.\n`)
  process.exit(1)
}
const pagePort = await freePort(8080)
const brokerPort = await freePort(1883)
const gatewayPort = await freePort(pagePort === 8080 ? 8081 : pagePort + 1)

/** The demo's configuration, with the ports that are free here. */
const configure = program => {
  const file = join(data, `${program}.yaml`)
  const text = readFileSync(join(top, program, 'demo', `${program}.yaml`), 'utf8')
  const ports = { 8080: pagePort, 8081: gatewayPort, 1883: brokerPort }
  writeFileSync(
    file,
    text.replace(/\b(?:8080|8081|1883)\b/g, port => String(ports[port])),
  )
  return file
}

/** A program beside the others: the end of one ends all. */
const launch = (name, args, stdin) => {
  // glibc would give each thread a heap of its own that it never gives back.
  const env = { MALLOC_ARENA_MAX: '2', ...process.env }
  const child = spawn(process.execPath, args, { cwd: top, env, stdio: [stdin, 'pipe', 'inherit'] })
  child.stdout.pipe(process.stdout)
  child.once('exit', (code, signal) => {
    if (stopping) return
    process.stderr.write(`The ${name} ended (${signal ?? `exit code ${code}`}); stopping.\n`)
    process.exitCode = code || 1
    stop()
  })
  return child
}
const programs = ['cloud', 'gateway'].map(program => {
  const args = [
    '--max-semi-space-size=8',
    '--conditions=@penstock/source',
    '--import',
    'tsx',
    join(program, 'src', 'main.ts'),
    'run',
    configure(program),
    '--log',
    'text',
  ]
  return launch(program, args, 'ignore')
})
// It ends with its standard input, so also where this program is killed.
const lab = launch('laboratory', [join('.run', 'lab', 'main.mjs'), instruments, inbox], 'pipe')
const children = [...programs, lab]

let stopping = false
function stop() {
  if (stopping) return
  stopping = true
  for (const child of children) child.kill('SIGTERM')
}
process.on('SIGINT', stop)
process.on('SIGTERM', stop)

const url = `http://127.0.0.1:${pagePort}`
const waitMsMax = 60_000
for (const began = Date.now(); !stopping && Date.now() - began < waitMsMax; ) {
  const answer = await fetch(`${url}/health`).catch(() => undefined)
  if (answer?.ok) {
    process.stdout.write(
      `\n  Penstock is running: ${url}   (Ctrl-C stops it)\n  Drop a CSV of store counts into ${inbox} to see it arrive.\n  What the gateway reads: http://127.0.0.1:${gatewayPort}\n\n`,
    )
    break
  }
  await new Promise(resolve => setTimeout(resolve, 100))
}

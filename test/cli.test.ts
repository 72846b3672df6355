/** What a person sees who does it wrong: one clear sentence, the documented exit code, never a stack. */
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePort, type House, mainArguments, openHouse, run, runMain, until } from './programs.ts'

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

type Name = 'gateway' | 'cloud'
const ended = async (program: Name, args: string[], env: Record<string, string> = {}) => {
  const started = runMain(program, args, env)
  const { code } = await started.exited
  const output = started.output()
  expect(output).not.toMatch(/^\s+at .*\(?.*:\d+:\d+\)?$/m)
  return { code, output: output.replaceAll(`${house.dir}/`, '') }
}

const gatewayYaml = (more = '') => `gateway: bench
zone: UTC
data: gateway
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }
sources: [{ id: files, kind: tail, folder: files, format: { kind: csv, time: { column: t } } }]
${more}`
const cloudYaml = (more = '') => `listen: { port: ${house.pagePort} }
broker: { kind: embedded, port: ${house.brokerPort} }
data: cloud
sites: []
${more}`

describe.each(['gateway', 'cloud'] as const)('penstock-%s', program => {
  test('without a command, with a wrong one, a wrong option, without a file', async () => {
    const name = `penstock-${program}`
    expect(await ended(program, [])).toMatchObject({
      code: 2,
      output: expect.stringContaining(`${name}: a command is missing`),
    })
    expect(await ended(program, ['rum'])).toMatchObject({
      code: 2,
      output: expect.stringContaining('"rum" is no command; expected one of run'),
    })
    expect(await ended(program, ['run', '--fast'])).toMatchObject({
      code: 2,
      output: expect.stringContaining("'--fast'"),
    })
    expect(await ended(program, ['run'])).toMatchObject({
      code: 2,
      output: expect.stringContaining('expected one configuration file'),
    })
  })

  test('a configuration that is missing, or wrong in several places', async () => {
    expect(await ended(program, ['run', join(house.dir, 'none.yaml')])).toMatchObject({
      code: 3,
      output: expect.stringContaining('none.yaml'),
    })
    const good = program === 'gateway' ? gatewayYaml() : cloudYaml()
    const file = await house.write('c.yaml', `${good.replace('data:', 'dota:')}\n`)
    const { code, output } = await ended(program, ['check', file])
    expect(code).toBe(3)
    expect(output).toMatch(/^c\.yaml:\d+: dota: unknown key; did you mean "data"\?$/m)
  })

  test('help, version, check of a good file and the schema for editors', async () => {
    expect(await ended(program, ['--version'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    })
    expect(await ended(program, ['--help'])).toMatchObject({ code: 0, output: expect.stringContaining('Exit codes:') })
    const file = await house.write('c.yaml', program === 'gateway' ? gatewayYaml() : cloudYaml())
    expect(await ended(program, ['check', file])).toMatchObject({
      code: 0,
      output: expect.stringContaining('c.yaml: ok: '),
    })
    const schema = join(house.dir, 'schema.json')
    expect(await ended(program, ['check', '--schema', schema])).toMatchObject({ code: 0 })
    expect(JSON.parse(await readFile(schema, 'utf8'))).toMatchObject({ type: 'object' })
  })

  test('a second one on the same data is refused, and the first one ends cleanly on SIGTERM', async () => {
    const file = await house.write('c.yaml', program === 'gateway' ? gatewayYaml() : cloudYaml())
    const first = house.start(program, file)
    await until('it runs', () => first.output().includes(`the ${program} is running`))
    const { code, output } = await ended(program, ['run', file])
    expect(code).toBe(4)
    expect(output).toContain(String(first.pid))
    await first.kill('SIGTERM')
    expect(await first.exited).toEqual({ code: 0, signal: null })
  })
})

test.each(['gateway', 'cloud'] as const)('a folder that penstock-%s cannot use is named', async program => {
  // A file stands where the folder should be.
  await house.write(program, '')
  const file = await house.write('c.yaml', program === 'gateway' ? gatewayYaml() : cloudYaml())
  const { code, output } = await ended(program, ['run', file])
  expect(code).toBe(5)
  expect(output).toMatch(program === 'gateway' ? /^spool: gateway\/spool: / : /^journal: cloud\/journal: /)
})

test('an address that is taken is named, with the exit code for it', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(house.pagePort, '127.0.0.1', resolve))
  const file = await house.write('c.yaml', cloudYaml())
  const { code, output } = await ended('cloud', ['run', file])
  await new Promise(resolve => server.close(resolve))
  expect(code).toBe(5)
  expect(output).toMatch(new RegExp(`listen: 127\\.0\\.0\\.1:${house.pagePort}: another program listens there`))
})

test('commands beside a gateway that runs: check finds it and its cloud, tap shows what passes, Ctrl-C ends with 130', async () => {
  await writeFile(join(house.dir, 'password'), 'right')
  const known = 'gateways: [{ id: bench, username: bench, password: { file: password } }]\n'
  const cloud = house.start('cloud', await house.write('cloud.yaml', cloudYaml(known)))
  await until('it runs', () => cloud.output().includes('the cloud is running'))
  const port = await freePort()
  const yaml = `gateway: bench
data: gateway
page: { port: ${port} }
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}", username: bench, password: { file: password } }
sources: [{ id: sim, kind: simulate, weeksBack: 0, everyMs: 200 ms }]
`
  const config = await house.write('g.yaml', yaml)
  const gateway = house.start('gateway', config)
  await until('it runs', () => gateway.output().includes('the gateway is running'))
  const tapping = runMain('gateway', ['tap', 'sim', '--config', config, '--json'])
  await until('rows pass', () => /"source":"sim"/.test(tapping.output()))
  const checked = await ended('gateway', ['check', config])
  expect(checked).toMatchObject({ code: 0, output: expect.stringContaining('takes us') })
  expect(checked.output).toContain(`a gateway runs on it (process ${gateway.pid})`)
  await writeFile(join(house.dir, 'password'), 'wrong')
  expect(await ended('gateway', ['check', config])).toMatchObject({
    code: 3,
    output: expect.stringContaining('FAIL  uplink'),
  })
  await tapping.kill('SIGINT')
  expect(await tapping.exited).toEqual({ code: 130, signal: null })
  expect(tapping.output()).not.toMatch(/^\s+at /m)
  // Neither look took its place at the broker.
  expect(gateway.output()).not.toContain('no link to the cloud')
})

test('a misspelt command or option is met with the nearest one, a closed pipe with silence', async () => {
  expect(await ended('gateway', ['snif', 'x'])).toMatchObject({
    code: 2,
    output: expect.stringContaining('did you mean "sniff"?'),
  })
  expect(await ended('gateway', ['sniff', '--zon', 'UTC', 'x'])).toMatchObject({
    code: 2,
    output: expect.stringContaining("unknown option '--zon', did you mean --zone?"),
  })
  const rows = Array.from({ length: 2000 }, (_, i) => `2026-03-01 10:00:00,${i},${'x'.repeat(200)}`)
  const file = await house.write('wide.csv', `t,n,text\n${rows.join('\n')}\n`)
  const args = mainArguments('gateway', ['sniff', file, '--rows', '1000', '--json'])
  const piped = run('bash', ['-c', 'set -o pipefail; "$0" "$@" | head -c 10', process.execPath, ...args])
  expect(await piped.exited).toEqual({ code: 0, signal: null })
  expect(piped.output()).toBe('{\n  "file"')
})

test('a secret never shows, whatever goes wrong', async () => {
  const secret = 'correct-horse-battery'
  await writeFile(join(house.dir, 'password'), secret)
  const broker = house.start(
    'cloud',
    await house.write(
      'cloud.yaml',
      `${cloudYaml()}gateways: [{ id: bench, username: bench, password: { env: RIGHT } }]\n`,
    ),
  )
  // Without RIGHT in the environment the cloud says what is missing.
  expect((await broker.exited).code).toBe(3)
  expect(broker.output()).toMatch(/RIGHT/)
  const open = house.start('cloud', await house.write('cloud.yaml', cloudYaml()))
  await until('it runs', () => open.output().includes('the cloud is running'))
  const gateway = house.start(
    'gateway',
    await house.write(
      'g.yaml',
      gatewayYaml().replace('uplink: {', 'uplink: { username: u, password: { file: password },'),
    ),
  )
  await until('it runs', () => gateway.output().includes('the gateway is running'))
  await open.kill('SIGKILL')
  await until('it tells of the lost link', () => gateway.output().includes('no link to the cloud'))
  expect(gateway.output()).not.toContain(secret)
})

import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServiceManager } from '../src/service-manager.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-service-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** A systemd-notify that writes down what it is told. */
const install = async () => {
  const script = join(folder, 'systemd-notify')
  await writeFile(script, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> "${folder}/said"\n`)
  await chmod(script, 0o755)
}
const env = (more: Record<string, string> = {}) => ({
  PATH: `${folder}${delimiter}${process.env.PATH}`,
  NOTIFY_SOCKET: '@manager',
  ...more,
})
const said = async (lines: number): Promise<string[]> => {
  for (let i = 0; i < 1000; i++) {
    const text = await readFile(join(folder, 'said'), 'utf8').catch(() => '')
    if (text.split('\n').length > lines) return text.trimEnd().split('\n')
    await sleep(10)
  }
  throw new Error(`fewer than ${lines} lines were said`)
}

describe.skipIf(process.platform === 'win32')('the service manager', () => {
  it('is told that the program is ready, that it lives, and that it stops', async () => {
    await install()
    const problems: string[] = []
    const manager = createServiceManager(env({ WATCHDOG_USEC: '60000' }), 42, text => problems.push(text))
    manager.ready('reads 3 sources')
    const lines = await said(3)
    expect(lines[0]).toBe('@manager --pid=42 READY=1 STATUS=reads 3 sources')
    expect(lines.slice(1).every(line => line === '@manager --pid=42 WATCHDOG=1')).toBe(true)
    manager.stopping()
    const all = await said(lines.length + 1)
    expect(all.at(-1)).toBe('@manager --pid=42 STOPPING=1')
    expect(problems).toEqual([])
  })

  it('is not bothered where the heartbeat is asked of another process', async () => {
    await install()
    const manager = createServiceManager(env({ WATCHDOG_USEC: '3000', WATCHDOG_PID: '7' }), 42, () => {})
    manager.ready('')
    await said(1)
    await sleep(50)
    manager.stopping()
    expect((await said(2)).map(line => line.split(' ')[2])).toEqual(['READY=1', 'STOPPING=1'])
  })

  it('that cannot be told is a problem, said once', async () => {
    const problems: string[] = []
    const manager = createServiceManager({ NOTIFY_SOCKET: '@m', PATH: folder }, 42, text => problems.push(text))
    manager.ready('')
    manager.stopping()
    for (let i = 0; i < 1000 && problems.length === 0; i++) await sleep(10)
    await sleep(50)
    expect(problems).toEqual(['systemd cannot be told how the program is: systemd-notify cannot be started (ENOENT)'])
  })

  it('is not there without a socket', () => {
    const manager = createServiceManager({}, 42, text => expect.fail(text))
    manager.ready('')
    manager.stopping()
  })
})

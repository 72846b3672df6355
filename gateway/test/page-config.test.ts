import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadGatewayConfig } from '../src/config.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-page-config-'))
  await writeFile(join(folder, 'token'), 'secret\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const pageOf = async (page: string) => {
  const file = join(folder, 'gateway.yaml')
  const rest = 'uplink: { kind: http, url: "http://cloud.example" }\nsources: [{ id: sim, kind: simulate }]'
  await writeFile(file, `gateway: bench\nzone: Europe/Madrid\n${page}\n${rest}\n`)
  try {
    return (await loadGatewayConfig(file, {})).page
  } catch (error) {
    return (error as Error).message.replace(`${file}:`, '')
  }
}

describe('where the page is', () => {
  const usual = { host: '127.0.0.1', port: 8081, names: [], site: 'bench', zone: 'Europe/Madrid' }

  it('is this machine, unless something else is said; none where that is said', async () => {
    expect(await pageOf('')).toEqual(usual)
    expect(await pageOf('page: true')).toEqual(usual)
    expect(await pageOf('page: false')).toBeUndefined()
    expect(await pageOf('page: { port: 9000, host: "::1" }')).toEqual({ ...usual, port: 9000, host: '::1' })
  })

  it('is a network only with a token, or where everyone there may see the readings', async () => {
    expect(await pageOf('page: { host: 0.0.0.0 }')).toBe(
      '3: page.token: is missing: 0.0.0.0 is reached from other machines; name a token, or say `open: true` where everyone there may see the readings',
    )
    expect(await pageOf('page: { host: 0.0.0.0, open: true, names: [lab] }')).toEqual({
      ...{ ...usual, host: '0.0.0.0', names: ['lab'] },
    })
    expect(await pageOf('page: { host: 0.0.0.0, token: { file: token } }')).toEqual({
      ...{ ...usual, host: '0.0.0.0', token: 'secret' },
    })
    expect(await pageOf('page: { token: hunter2 }')).toContain('a secret does not stand in the configuration')
  })

  it('is refused with the nearest name where a key is wrong', async () => {
    expect(await pageOf('page: { prot: 1 }')).toBe('3: page.prot: unknown key; did you mean "port"?')
  })
})

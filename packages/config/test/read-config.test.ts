import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT, UserError } from '@penstock/frame'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import {
  byteSize,
  configJsonSchema,
  duration,
  nearestName,
  parseConfig,
  path,
  readConfig,
  readSecret,
  resolvePath,
  secret,
  zone,
} from '../src/index.ts'

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tail'), pattern: z.string(), pollMs: duration.default(500) }),
  z.strictObject({ kind: z.literal('drop'), folder: path, startAt: z.enum(['beginning', 'end']).optional() }),
])
const schema = z.strictObject({
  name: z.string().min(1),
  zone: zone.default('UTC'),
  bytesMax: byteSize.optional(),
  password: secret.optional(),
  ports: z.array(z.int()).optional(),
  sources: z.array(source).default([]),
})

const problemsOf = (text: string): string[] => {
  try {
    parseConfig(text, 'g.yaml', schema)
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    expect((error as UserError).exitCode).toBe(EXIT.config)
    return (error as UserError).message.split('\n')
  }
  throw new Error('nothing was wrong')
}

describe('parseConfig', () => {
  it('gives the checked value with units resolved', () => {
    const text =
      'name: lab\nzone: Asia/Tokyo\nbytesMax: 512 MiB\nsources:\n  - {kind: tail, pattern: "*.csv", pollMs: 2 s}\n'
    expect(parseConfig(text, 'g.yaml', schema)).toEqual({
      name: 'lab',
      zone: 'Asia/Tokyo',
      bytesMax: 512 * 1024 * 1024,
      sources: [{ kind: 'tail', pattern: '*.csv', pollMs: 2000 }],
    })
  })

  it.each([
    ['an unknown key', 'name: a\nzoen: UTC\n', ['g.yaml:2: zoen: unknown key; did you mean "zone"?']],
    ['an unknown key with no neighbour', 'name: a\nxyzzy: 1\n', ['g.yaml:2: xyzzy: unknown key']],
    ['a wrong type', 'name: 5\n', ['g.yaml:1: name: expected text, got 5']],
    ['a list for a text', 'name: [a]\n', ['g.yaml:1: name: expected text, got a list']],
    [
      'a text in a list of numbers',
      'name: a\nports:\n  - 1\n  - two\n',
      ['g.yaml:4: ports[1]: expected a number, got the text "two"'],
    ],
    [
      'a fraction for a whole number',
      'name: a\nports: [1.5]\n',
      ['g.yaml:2: ports[0]: expected a whole number, got 1.5'],
    ],
    ['a missing key', 'zone: UTC\n', ['g.yaml:1: name: is missing: expected text']],
    [
      'a bad zone',
      'name: a\nzone: Europe/Pariss\n',
      ['g.yaml:2: zone: "Europe/Pariss" is not an IANA time zone; did you mean "Europe/Paris"?'],
    ],
    [
      'a city as zone',
      'name: a\nzone: madrid\n',
      ['g.yaml:2: zone: "madrid" is not an IANA time zone; did you mean "Europe/Madrid"?'],
    ],
    [
      'a bad size',
      'name: a\nbytesMax: 5 bananas\n',
      ['g.yaml:2: bytesMax: expected a size such as 512 MiB, got "5 bananas"'],
    ],
    [
      'an unknown kind',
      'name: a\nsources:\n  - kind: tial\n    pattern: x\n',
      ['g.yaml:3: sources[0].kind: expected one of tail, drop, got the text "tial"; did you mean "tail"?'],
    ],
    [
      'a missing kind',
      'name: a\nsources:\n  - pattern: x\n',
      ['g.yaml:3: sources[0].kind: is missing: expected one of tail, drop'],
    ],
    [
      'a bad choice within a branch',
      'name: a\nsources:\n  - kind: drop\n    folder: in\n    startAt: begining\n',
      [
        'g.yaml:5: sources[0].startAt: expected one of beginning, end, got the text "begining"; did you mean "beginning"?',
      ],
    ],
    [
      'an unknown key within a branch',
      'name: a\nsources:\n  - kind: tail\n    pattern: x\n    patern: y\n',
      ['g.yaml:5: sources[0].patern: unknown key; did you mean "pattern"?'],
    ],
    ['a duplicate key', 'name: a\nname: b\n', ['g.yaml:2: the same key stands twice in one mapping']],
    ['an empty file', '', ['g.yaml: is empty']],
    ['a file of comments', '# nothing\n', ['g.yaml: is empty']],
    ['a list at the top', '- a\n', ['g.yaml:1: expected a mapping, got a list']],
  ])('says what is wrong: %s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected)
  })

  it('says all at once, sorted by line', () => {
    const text = 'zone: Mars\nsources:\n  - kind: tail\n    pollMs: soon\n  - kind: drop\n    folder: 3\nnmae: a\n'
    expect(problemsOf(text)).toEqual([
      'g.yaml:1: name: is missing: expected text',
      'g.yaml:1: zone: "Mars" is not an IANA time zone, such as Europe/Paris',
      'g.yaml:3: sources[0].pattern: is missing: expected text',
      'g.yaml:4: sources[0].pollMs: expected a time span such as 5 s, got "soon"',
      'g.yaml:6: sources[1].folder: expected text, got 3',
      'g.yaml:7: nmae: unknown key; did you mean "name"?',
    ])
  })

  it('names the line of a YAML mistake', () => {
    const [first] = problemsOf('name: a\nsources: [1, 2\nzone: UTC\n')
    expect(first).toMatch(/^g\.yaml:[23]: not YAML: /)
  })

  it.each([['password: hunter2'], ['password: 12345678'], ['password: {inline: hunter2}'], ['password: [hunter2]']])(
    'refuses an inline secret without showing it: %s',
    line => {
      const problems = problemsOf(`name: a\n${line}\n`)
      expect(problems).toEqual([
        'g.yaml:2: password: a secret does not stand in the configuration: give {file: <path>} or {env: <name of a variable>} instead',
      ])
    },
  )

  it('does not show a secret when another part of its line is no YAML', () => {
    expect(problemsOf('name: a\npassword: "hunter2\n').join('\n')).not.toContain('hunter2')
  })
})

describe('values', () => {
  it.each([
    [1024, 1024],
    ['10GB', 10e9],
    ['1.5 KiB', 1536],
    ['0', 0],
  ])('reads the size %s', (text, bytes) => {
    expect(byteSize.parse(text)).toBe(bytes)
  })
  it.each([
    [250, 250],
    ['250 ms', 250],
    ['5 s', 5000],
    ['48 h', 48 * 3_600_000],
    ['7d', 7 * 86_400_000],
  ])('reads the time span %s', (text, ms) => {
    expect(duration.parse(text)).toBe(ms)
  })
  it.each(['-5 s', '5 parsecs', '', 'NaN', '1e400 s', true])('refuses the time span %s', text => {
    expect(duration.safeParse(text).success).toBe(false)
  })
  it('resolves paths from the folder of the file', () => {
    expect(resolvePath('/etc/penstock/gateway.yaml', 'in/*.csv')).toBe('/etc/penstock/in/*.csv')
    expect(resolvePath('/etc/penstock/gateway.yaml', '/data')).toBe('/data')
  })
  it('finds the nearest name, or none', () => {
    expect(nearestName('delimeter', ['delimiter', 'decimal'])).toBe('delimiter')
    expect(nearestName('pattren', ['pattern'])).toBe('pattern')
    expect(nearestName('zzz', ['pattern', 'kind'])).toBeUndefined()
  })
  it('writes a JSON schema for editors', () => {
    const json = configJsonSchema(schema)
    expect(json).toMatchObject({ type: 'object', additionalProperties: false, required: ['name'] })
  })
})

describe('files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'penstock-config-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('reads a file', async () => {
    const file = join(folder, 'a.yaml')
    await writeFile(file, '\ufeffname: lab\n')
    expect((await readConfig(file, schema)).name).toBe('lab')
  })
  it('says that a file is missing, a folder, or no text', async () => {
    await expect(readConfig(join(folder, 'none.yaml'), schema)).rejects.toThrow(/none\.yaml: there is no such file$/)
    await expect(readConfig(folder, schema)).rejects.toThrow(/: is a folder$/)
    await writeFile(join(folder, 'b.yaml'), Uint8Array.of(0x6e, 0xff, 0xfe))
    await expect(readConfig(join(folder, 'b.yaml'), schema)).rejects.toThrow(/b\.yaml: is not text in UTF-8$/)
  })
  it('fetches secrets from files and variables, and names only the reference when it cannot', async () => {
    const config = join(folder, 'a.yaml')
    await writeFile(join(folder, 'key'), 'hunter2\n')
    await writeFile(join(folder, 'empty'), '\n')
    expect(await readSecret({ file: 'key' }, config, {})).toBe('hunter2')
    expect(await readSecret({ env: 'KEY' }, config, { KEY: 'x' })).toBe('x')
    await expect(readSecret({ env: 'KEY' }, config, {})).rejects.toThrow(/the environment has no KEY/)
    await expect(readSecret({ file: 'empty' }, config, {})).rejects.toThrow(/is empty$/)
    await expect(readSecret({ file: 'none' }, config, {})).rejects.toThrow(/cannot be read \(ENOENT\)$/)
  })
})

import { appendFile, copyFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openTail, tailOptions } from '../src/sources/tail.ts'
import { countOf, newCloud, newDeps, newDurable, start, tempFolder, until, valuesOf } from './harness.ts'

/** What a program that writes a log, a rotation and a power switch may do. */
type Action =
  | { do: 'write'; lines: number; cut: number }
  | { do: 'rotate' }
  | { do: 'copy and truncate' }
  | { do: 'kill' }
  | { do: 'catch up' }
  | { do: 'wait'; ms: number }
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), lines: fc.nat(40), cut: fc.nat(1000) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'rotate' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'copy and truncate' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'kill' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'catch up' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(8) }) },
)

const options = (folder: string) => ({
  ...tailOptions.parse({
    id: 'log',
    kind: 'tail',
    folder,
    pattern: 'app.log*',
    format: { kind: 'lines', pattern: '^line (?<n>\\d+)$', columns: { n: 'int' } },
    pollMsMax: 10,
  }),
  site: 'Lab',
  zone: 'UTC',
})

const play = async (actions: Action[]) => {
  const { path: folder, remove } = await tempFolder()
  const file = join(folder, 'app.log')
  const durable = newDurable()
  const begin = () => start(openTail(options(folder), newDeps(newCloud(durable).receipts)), durable)
  let running = begin()
  let rotations = 0
  let written = 0
  // What is written but for a last line without an end: the rest of it comes with the next write.
  let whole = 0
  let rest = ''
  const write = async (text: string) => {
    await appendFile(file, text)
    const all = rest + text
    whole += all.split('\n').length - 1
    rest = all.slice(all.lastIndexOf('\n') + 1)
  }
  // Rotations happen between two lines, as they do where the writer rotates itself.
  const endLine = async () => {
    if (rest !== '') await write('\n')
  }
  try {
    await writeFile(file, '')
    for (const action of actions) {
      switch (action.do) {
        case 'write': {
          const text = Array.from({ length: action.lines }, () => `line ${++written}\n`).join('')
          await endLine()
          // The last line in two pieces, the second of which may come much later.
          const cut = Math.max(0, text.length - (action.cut % 8))
          await write(text.slice(0, cut))
          if (action.cut % 3 > 0) await write(text.slice(cut))
          else if (cut < text.length) await write(text.slice(cut, -1))
          break
        }
        case 'rotate':
          await endLine()
          await rename(file, `${file}.${++rotations + 100}`)
          await writeFile(file, '')
          break
        case 'copy and truncate':
          await endLine()
          await copyFile(file, `${file}.${++rotations + 100}`)
          await truncate(file, 0)
          break
        case 'kill':
          await running.kill()
          running = begin()
          break
        case 'catch up':
          await until(
            () => countOf(durable),
            n => n >= whole,
          )
          break
        case 'wait':
          await new Promise(resolve => setTimeout(resolve, action.ms))
          break
      }
    }
    await endLine()
    await until(
      () => countOf(durable),
      n => n >= whole,
    )
    await running.stop()
    expect(valuesOf(durable, 'n')).toEqual(Array.from({ length: written }, (_, i) => i + 1))
    expect(durable.batches.flatMap(b => b.rejects)).toEqual([])
  } finally {
    await running.kill()
    await remove()
  }
}

describe('a log that is written, rotated, copied and truncated while the reader is killed', () => {
  it('gives every line once and in order', async () => {
    await fc.assert(fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 25 }), play), {
      numRuns: Number(process.env.PENSTOCK_RUNS ?? 40),
      interruptAfterTimeLimit: Number(process.env.PENSTOCK_RUNS ?? 0) > 0 ? 50_000 : 20_000,
    })
  }, 60_000)
})

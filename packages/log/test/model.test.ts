/** Any sequence of calls, kills and power cuts gives what a list and a map would give. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Log, type LogOptions, openLog } from '../src/index.ts'
import { readAll } from './history.ts'
import { createMemoryDisk, createRandom } from './memory-disk.ts'

const dir = '/log'

const body = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ minLength: 500, maxLength: 1500 }))
const changes = fc.option(
  fc.dictionary(fc.constantFrom('a', 'b', '', 'ü/1', '__proto__'), fc.oneof(fc.constant(null), fc.jsonValue())),
  { nil: undefined },
)
const append = fc.record({ bodies: fc.array(body, { maxLength: 4 }), changes })
const command = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('append' as const), calls: fc.array(append, { minLength: 1, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), back: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('read' as const), after: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('reopen' as const, 'kill' as const, 'power' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), call: append, at: fc.integer({ min: 1, max: 25 }) }) },
) // biome-ignore format: one line a command
const settings = fc.record({
  segmentBytesMin: fc.integer({ min: 2048, max: 9000 }),
  segmentBytesMax: fc.integer({ min: 2048, max: 9000 }),
  readAheadBytes: fc.constantFrom(17, 64, 1000, 100_000),
})

interface Model {
  bodies: Buffer[]
  state: Map<string, string>
  trimmed: number
}
type Append = { bodies: Uint8Array[]; changes: Record<string, unknown> | undefined }

const applied = (model: Model, call: Append): Model => {
  const state = new Map(model.state)
  for (const [key, value] of Object.entries(call.changes ?? {})) {
    if (value === null) state.delete(key)
    else state.set(key, JSON.stringify(value))
  }
  return { ...model, bodies: [...model.bodies, ...call.bodies.map(b => Buffer.from(b))], state }
}

/** Whether the log holds just what the model holds. */
const differs = async (log: Log, model: Model, after: number): Promise<string | undefined> => {
  if (log.stats().nextSeq !== model.bodies.length + 1) return `next is ${log.stats().nextSeq}`
  const keys = log.stateKeys('')
  if (keys.join() !== [...model.state.keys()].sort().join()) return `keys are ${keys}`
  for (const key of keys) if (JSON.stringify(log.state(key)) !== model.state.get(key)) return `state ${key} differs`
  let seq = after
  for (const entry of await readAll(log, after)) {
    if (entry.seq !== seq + 1) return `${entry.seq} behind ${seq}`
    seq = entry.through
    if (entry.lost !== undefined) {
      if (entry.lost !== 'trimmed' || entry.through > model.trimmed)
        return `lost ${entry.seq} to ${entry.through}: ${entry.lost}`
    } else if (!model.bodies[entry.seq - 1]?.equals(entry.body)) return `body ${entry.seq} differs`
  }
  return seq === Math.max(after, model.bodies.length) ? undefined : `ends at ${seq}`
}

test('any sequence of calls and crashes', async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(command, { maxLength: 25 }), fc.nat(), async (options, commands, seed) => {
      const disk = createMemoryDisk(seed)
      const random = createRandom(seed)
      const all: LogOptions = { ...options, fs: disk.fs, epoch: 'model' }
      let log = await openLog(dir, all)
      let model: Model = { bodies: [], state: new Map(), trimmed: 0 }
      const again = async (restart: () => void): Promise<void> => {
        restart()
        disk.remove(`${dir}/lock`)
        log = await openLog(dir, all)
      }
      for (const c of commands) {
        switch (c.kind) {
          case 'append': {
            const seqs = await Promise.all(c.calls.map(call => log.append(call.bodies, call.changes)))
            for (const [i, call] of c.calls.entries()) {
              model = applied(model, call)
              expect(seqs[i]).toBe(model.bodies.length)
            }
            break
          }
          case 'trim': {
            const through = Math.max(0, model.bodies.length - c.back)
            model = { ...model, trimmed: Math.max(model.trimmed, through) }
            await log.trim(through)
            break
          }
          case 'read':
            expect(await differs(log, model, Math.floor(c.after * model.bodies.length))).toBeUndefined()
            break
          case 'reopen':
            await log.close()
            log = await openLog(dir, all)
            break
          case 'kill':
            await again(disk.kill)
            break
          case 'power':
            await again(() => disk.reboot(random))
            break
          case 'crash': {
            disk.setFate(call => (call.number === c.at ? 'crash' : undefined))
            const acknowledged = await log.append(c.call.bodies, c.call.changes).then(
              () => true,
              () => false,
            )
            if (disk.isOff() || !acknowledged) await again(() => disk.reboot(random))
            disk.setFate(undefined)
            const after = applied(model, c.call)
            const isThere = (await differs(log, after, 0)) === undefined
            if (acknowledged || isThere) model = after
            break
          }
        }
        expect(await differs(log, model, 0)).toBeUndefined()
      }
      await again(() => disk.reboot(random))
      expect(await differs(log, model, 0)).toBeUndefined()
      expect(log.stats()).toMatchObject({ lostEntries: 0 })
      await log.close()
    }),
    { numRuns: 150 },
  )
}, 120_000)

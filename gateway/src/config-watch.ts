/**
 * Says when the configuration file may hold something else. The file is looked at again and again, for a share or a
 * mounted volume sends no events; where the system does send them, they make it look at once. Editors write in pieces,
 * truncate first, or put a new file in the old one's place: a change is told when size and time have stood still.
 */
import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { UserError } from '@penstock/frame'
import { createAlarm } from './alarm.ts'
import type { GatewayConfig } from './config.ts'
import type { Gateway } from './gateway.ts'

export interface ConfigWatchOptions {
  pollMs?: number
  /** A change is told when the file has stood still for so long. */
  settleMs?: number
}

export interface ConfigWatch {
  /** As an edit, whatever the file looks like: a person asks for it. */
  ask(): void
  /** One item for each change since the watch was made; ends when the signal aborts. One reader. */
  changes(signal: AbortSignal): AsyncIterable<'edited' | 'asked'>
}

/** To be made before the file is read for the first time, so that no edit falls between. */
export const watchConfig = async (file: string, options: ConfigWatchOptions = {}): Promise<ConfigWatch> => {
  const { pollMs = 2000, settleMs = 500 } = options
  const alarm = createAlarm()
  let isAsked = false
  let told = await lookOf(file)

  /** The look of the file once it stands still. */
  const settled = async (first: string, signal: AbortSignal): Promise<string> => {
    let seen = first
    for (;;) {
      await quiet(settleMs, signal)
      const look = await lookOf(file)
      if (look === seen || signal.aborted) return look
      seen = look
    }
  }

  async function* changes(signal: AbortSignal): AsyncGenerator<'edited' | 'asked'> {
    const events = eventsOf(file, alarm.ring)
    try {
      while (!signal.aborted) {
        await alarm.wait(pollMs, signal)
        if (signal.aborted) return
        const look = await lookOf(file)
        if (isAsked) {
          isAsked = false
          told = look
          yield 'asked'
        } else if (look !== told) {
          told = await settled(look, signal)
          if (!signal.aborted) yield 'edited'
        }
      }
    } finally {
      events?.close()
    }
  }
  return {
    ask() {
      isAsked = true
      alarm.ring()
    },
    changes,
  }
}

/** What changes when the file does: which file it is, its size and its time. */
const lookOf = async (file: string): Promise<string> => {
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true })
    return `${ino} ${size} ${mtimeNs}`
  } catch (error) {
    return `${(error as NodeJS.ErrnoException).code}`
  }
}

/** Events of the folder, for a file that is replaced takes its own events with it. None where the system gives none. */
const eventsOf = (file: string, ring: () => void): FSWatcher | undefined => {
  const name = basename(file)
  try {
    const watcher = watch(dirname(file), { persistent: false }, (_, changed) => {
      if (changed === null || changed === name) ring()
    })
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}

const quiet = (ms: number, signal: AbortSignal): Promise<void> => createAlarm().wait(ms, signal)

/** Gives the gateway each changed configuration until the changes end. Never throws: what is wrong is refused. */
export const followConfig = async (
  gateway: Pick<Gateway, 'apply' | 'refuse'>,
  changes: AsyncIterable<'edited' | 'asked'>,
  load: () => Promise<GatewayConfig>,
  log: { info(o: object, m: string): void },
): Promise<void> => {
  for await (const why of changes) {
    try {
      const { started, stopped, rerouted, refused } = await gateway.apply(await load())
      const isSame = started.length + stopped.length === 0 && !rerouted && refused === undefined
      if (isSame) log.info({ why }, 'the configuration was read again; nothing in it changed')
    } catch (error) {
      gateway.refuse(error instanceof UserError ? error.message : `the configuration cannot be read: ${String(error)}`)
    }
  }
}

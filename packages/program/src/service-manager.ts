/**
 * What a program tells systemd (Type=notify): that it is ready, that it is alive, that it is stopping. Node has no datagram
 * sockets of the file system, so `systemd-notify` says it, which is wherever systemd is (the unit needs NotifyAccess=all).
 */
import { spawn } from 'node:child_process'

export interface ServiceManager {
  /** The program does its work. Starts the heartbeat where the unit asks for one. */
  ready(status: string): void
  /** The program ends because it was asked to. */
  stopping(): void
}

const notifyMsMax = 10_000
/** Of the time within which the manager wants a heartbeat. */
const heartbeatShare = 1 / 3

/** Does nothing where no service manager listens. @param onProblem told once, when it cannot be told anything */
export const createServiceManager = (
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  onProblem: (message: string) => void,
): ServiceManager => {
  if (!env.NOTIFY_SOCKET) return { ready() {}, stopping() {} }
  let told = false
  let busy = false
  let heart: NodeJS.Timeout | undefined
  const tell = (...states: string[]): void => {
    busy = true
    const child = spawn('systemd-notify', [`--pid=${pid}`, ...states], { env, stdio: 'ignore', timeout: notifyMsMax })
    const done = (problem: string | undefined) => {
      busy = false
      if (problem === undefined || told) return
      told = true
      onProblem(`systemd cannot be told how the program is: systemd-notify ${problem}`)
    }
    child.once('error', error => done(`cannot be started (${(error as NodeJS.ErrnoException).code})`))
    child.once('exit', (code, signal) => done(code === 0 ? undefined : `ended with ${signal ?? `code ${code}`}`))
  }
  return {
    ready(status) {
      tell('READY=1', `STATUS=${status}`)
      const watchdogMs = Number(env.WATCHDOG_USEC) / 1000
      if (!(watchdogMs > 0) || (env.WATCHDOG_PID !== undefined && env.WATCHDOG_PID !== `${pid}`)) return
      heart = setInterval(() => {
        if (!busy) tell('WATCHDOG=1')
      }, watchdogMs * heartbeatShare)
      heart.unref()
    },
    stopping() {
      clearInterval(heart)
      tell('STOPPING=1')
    },
  }
}

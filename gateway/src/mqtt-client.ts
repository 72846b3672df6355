/** What both uses of mqtt.js, uplink and source, need of one connection: its beginning and its end, each within a limit. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { IConnackPacket, MqttClient } from 'mqtt'

const closeMsMax = 1000

/** Resolves with CONNACK. Rejects with the signal's reason, or when the connection closes; `reason` says why. */
export const untilConnected = (
  client: MqttClient,
  signal: AbortSignal,
  reason: () => string,
): Promise<IConnackPacket> =>
  new Promise((resolve, reject) => {
    const stop = () => {
      client.off('connect', onConnect)
      client.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    const onConnect = (packet: IConnackPacket) => {
      stop()
      resolve(packet)
    }
    const onClose = () => {
      stop()
      reject(new Error(reason() || 'the broker closed the connection'))
    }
    const onAbort = () => {
      stop()
      reject(signal.reason as Error)
    }
    client.on('connect', onConnect)
    client.on('close', onClose)
    signal.addEventListener('abort', onAbort)
  })

/** Ends a connection: mqtt.js waits for what is unacknowledged and for the broker's side to close, both without a limit. */
export const endClient = async (client: MqttClient): Promise<void> => {
  const done = new AbortController()
  const late = sleep(closeMsMax, undefined, { signal: done.signal }).then(
    () => void client.stream.destroy(),
    () => {},
  )
  await Promise.race([client.endAsync(!client.connected), late]).finally(() => done.abort())
}

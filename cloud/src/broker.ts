/**
 * The port of the MQTT side: one leaf each in `brokers/`. A broker carries; what messages mean is `reception.ts`'s matter.
 */
export interface Incoming {
  topic: string
  payload: Uint8Array
  /** The gateway that the sender's credential names; `undefined` where no credential is asked for. */
  identity?: string
  /** The broker kept it and hands it out because we subscribed again: it may have been taken before. */
  retained?: boolean
}

/** Resolves when the message is safe and its PUBACK may go; rejects where it is not: then no PUBACK goes. */
export type OnMessage = (message: Incoming) => Promise<void>

export interface Broker {
  /** Where clients connect to, for logs and the page. */
  readonly url: string
  /** Hands a message to whoever subscribed, QoS 1 where left out. Resolves when it was handed over; a missing subscriber is no error. */
  publish(topic: string, payload: Uint8Array, qos?: 0 | 1): Promise<void>
  /** Clients connected (embedded), or whether the link to the broker stands (external). */
  stats(): { connections: number; connected: boolean }
  close(): Promise<void>
}

/** Who may publish: in the configuration `gateways`. */
export interface Credential {
  gateway: string
  username: string
  password: string
}

import { describe, expect, it } from 'vitest'
import type { Slot } from '../src/counts/slots.ts'
import { type GapSpan, withCauses } from '../src/counts/use-causes.ts'

const gap = (from: string, to: string, cause: GapSpan['cause'], onItsWay = false): GapSpan => ({
  ...{ from: `2026-03-${from}:00+01:00`, to: `2026-03-${to}:00+01:00`, cause, proof: { onItsWay } },
})
const slot = (over: Partial<Slot>): Slot => ({
  ...{ date: '2026-03-11', hour: null, row: undefined, status: 'missing', ...over },
})
const causesOf = (place: Slot, ...gaps: GapSpan[]) => withCauses(place, gaps).causes?.map(c => c.cause)

describe('the causes of a place', () => {
  const silent = gap('11T09:00', '11T11:00', 'sensor-silent')
  it('are those of the gaps that reach into it', () => {
    expect(causesOf(slot({}), silent, gap('12T09:00', '12T10:00', 'lost'))).toEqual(['sensor-silent'])
    expect(causesOf(slot({ hour: 10 }), silent)).toEqual(['sensor-silent'])
    expect([8, 11].map(hour => causesOf(slot({ hour }), silent))).toEqual([undefined, undefined])
    expect(causesOf(slot({ hour: 23 }), gap('11T23:00', '12T00:00', 'lost'))).toEqual(['lost'])
    expect(causesOf(slot({}), gap('10T18:00', '11T00:00', 'lost'), gap('12T00:00', '12T01:00', 'lost'))).toBeUndefined()
  })

  it('are named once, and say that what is missing may still come', () => {
    const offline = [
      gap('11T09:00', '11T10:00', 'gateway-offline'),
      gap('11T12:00', '11T13:00', 'gateway-offline', true),
    ]
    expect(withCauses(slot({ status: 'partial' }), offline).causes).toEqual([
      { cause: 'gateway-offline', onItsWay: true },
    ])
  })

  it('are none where nothing proves one, and none of a place that is as it should be', () => {
    expect(
      causesOf(slot({}), gap('11T09:00', '11T11:00', 'unknown'), gap('11T09:00', '11T11:00', 'failed')),
    ).toBeUndefined()
    expect(causesOf(slot({ status: 'ok' }), silent)).toBeUndefined()
  })
})

import { describe, expect, it } from 'vitest'
import { filtersOf, matchTopic, topicPatternProblem } from '../src/topic-pattern.ts'

describe('topic patterns', () => {
  it.each([
    ['lab/+device/+stream', 'lab/scale/weight', { device: 'scale', stream: 'weight' }],
    ['lab/{device}/{stream}', 'lab/scale/weight', { device: 'scale', stream: 'weight' }],
    ['+site/#', 'Paris/a/b', { site: 'Paris' }],
    ['+site/#', 'Paris', { site: 'Paris' }],
    ['lab/+/t', 'lab//t', {}],
    ['/+device', '/x', { device: 'x' }],
    ['lab/+device', 'lab/a/b', undefined],
    ['lab/+device/t', 'lab/a', undefined],
    ['lab/t', 'lab/T', undefined],
    ['+site/#', '$SYS/broker/uptime', undefined],
    ['$SYS/+device', '$SYS/x', { device: 'x' }],
  ])('%s on %s', (pattern, topic, expected) => {
    expect(topicPatternProblem(pattern)).toBeUndefined()
    expect(matchTopic(pattern, topic)).toEqual(expected)
  })

  it.each([
    ['lab/#/x', /"#" stands at the end only/],
    ['lab/+devise', /\+devise stands for nothing; known are \+site, \+device, \+stream/],
    ['lab/a+', /the level "a\+" holds a wildcard/],
    ['+device/+device', /\+device stands there twice/],
  ])('%s is refused', (pattern, expected) => {
    expect(topicPatternProblem(pattern)).toMatch(expected)
  })

  it('subscribes to nothing twice', () => {
    const patterns = ['lab/+device/t', 'lab/+/t', 'lab/a/t', 'lab/x', 'shop/#', 'shop/+site/count', '+/#/x']
    expect(filtersOf(patterns.slice(0, 6))).toEqual(['lab/+/t', 'lab/x', 'shop/#'])
    expect(filtersOf(['#', 'a', 'b/+site'])).toEqual(['#'])
  })
})

export { nearestName } from './nearest.ts'
export { configJsonSchema, parseConfig, readConfig } from './read-config.ts'
export { byteSize, duration, path, readSecret, resolvePath, type Secret, secret, zone } from './values.ts'
export { appendToList, type Remark, writeYaml } from './write-config.ts'

export type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from './decoder.ts'

const POLYNOMIAL = 0x1021
const OWN_METHODS = 0x10000

/** Id of a get method: CRC-16 (XMODEM) of its name, with bit 16 set. */
export function methodId(name: string): number {
  let crc = 0
  for (const byte of Buffer.from(name)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ POLYNOMIAL) & 0xffff : (crc << 1) & 0xffff
  }
  return crc | OWN_METHODS
}

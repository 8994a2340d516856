import { MAX_OBJECT_RECORD_BYTES, OBJECT_RECORD_TYPE, type ObjectRecord, ObjectRecordSchema, unseal } from '@pingo/wire'

/** An owner's record of an object. @throws PinGoError MESSAGE_*, SIGNATURE_INVALID */
export async function openObjectRecord(sealed: Uint8Array): Promise<{ owner: string; record: ObjectRecord }> {
  const { from, value } = await unseal(ObjectRecordSchema, OBJECT_RECORD_TYPE, sealed, MAX_OBJECT_RECORD_BYTES)
  return { owner: from, record: value }
}

/** The version that nodes tell each other. */
export const VERSION = '0.1.0'

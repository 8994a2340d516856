import { example, type Files, figures, waves } from './samples.ts'

/** What `pingo new` writes for a template. */
export interface Recipe {
  /** One line for people who choose. */
  what: string
  /** The job file. @param name of the job */
  job(name: string): string
  /** The sample data and whatever else the job names. */
  files(): Promise<Files>
  /** What the sample data are. */
  data: string
  /** How to put one's own data in their place. */
  own: string
  /** Arguments of `pingo predict` behind the model. */
  predict: string
}

const jobFile = (
  name: string,
  model: string,
  data: string,
  train: string,
) => `# What a job file may say: docs/job-file.md
version: 1
name: ${name}

${model}
${data}
${train}
# resources: { contributors: 2.. }   # ask for more than one contributor
# service: { deadline: 20m }         # give up after that time
`

const trainOf = (lr: string, batch: number, epochs: number, round = '1s') => `train:
  lr: ${lr.padEnd(19)} # learning rate at its peak; it rises first and falls behind
  batch: ${String(batch).padEnd(16)} # samples of one step
  epochs: ${String(epochs).padEnd(15)} # how often every sample is seen
  round: ${round.padEnd(16)} # contributors' work is merged so often
`

const IMAGES = `data:
  train: figures          # a folder of one folder of PNG or JPEG images for each class
  test: 0.2               # part set apart to measure on, never trained on
  # imageSize: 32         # bring all images to one size
`
const TABLE = (file: string, target: string) => `data:
  train: ${file.padEnd(16)} # CSV, TSV, Parquet or JSONL
  target: ${target.padEnd(15)} # the column to predict
  test: 0.2               # part set apart to measure on, never trained on
`
const FIGURES = '`figures/`: 600 images of circles, crosses and squares, 16 × 16 pixels, made by `pingo new`'
const OWN_IMAGES = 'Put your images into a folder for each class and name the folder above them in `data.train`.'
const OWN_TABLE = 'Name your own file in `data.train` and the column to predict in `data.target`.'

/** The templates of `pingo new`. */
export const recipes = {
  mlp: {
    what: 'tables: layers of neurons',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: mlp
  hidden: [16]            # widths of the hidden layers
`,
        TABLE('iris.csv', 'species'),
        trainOf('1e-2', 16, 300, '500ms'),
      ),
    files: async () => new Map([['iris.csv', await example('tabular/iris.csv')]]),
    data: '`iris.csv`: 150 flowers of three species (R. A. Fisher, 1936), public domain',
    own: OWN_TABLE,
    predict: '--input iris.csv',
  },
  cnn: {
    what: 'images: a small convolutional network',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: cnn
  channels: [16, 32]      # convolutions; each is followed by 2 × 2 pooling
  dense: 64               # width of the layer before the classes
`,
        IMAGES,
        trainOf('2e-3', 16, 12),
      ),
    files: async () => figures(),
    data: FIGURES,
    own: OWN_IMAGES,
    predict: '--input figures/circle',
  },
  resnet: {
    what: 'images: a residual network such as ResNet-18',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: resnet
  width: 8                # channels of the first stage; ResNet-18 has 64
  blocks: [1, 1, 1]       # residual blocks of each stage; ResNet-18 has [2, 2, 2, 2]
`,
        IMAGES,
        trainOf('3e-3', 16, 15),
      ),
    files: async () => figures(),
    data: FIGURES,
    own: `${OWN_IMAGES} For larger images let \`width\` and \`blocks\` grow.`,
    predict: '--input figures/circle',
  },
  gpt: {
    what: 'text: writes on, token by token',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: gpt
  layers: 2
  heads: 4                # must divide the width
  width: 64
`,
        `data:
  train: moby-dick.txt    # UTF-8 text
  context: 64             # tokens that the model sees at once
  test: 0.1               # the last part of the text is set apart to measure on
  tokenizer: char         # each character is a token; bpe learns pieces of words
  # vocabulary: 512       # bpe: how many pieces
`,
        trainOf('3e-3', 16, 20, '4s'),
      ),
    files: async () => new Map([['moby-dick.txt', await example('text/moby-dick.txt')]]),
    data: '`moby-dick.txt`: the first 16 chapters of Moby-Dick (H. Melville, 1851), public domain',
    own: 'Name your own text in `data.train`; more text wants more `layers` and `width`, and `tokenizer: bpe`.',
    predict: '--prompt "Call me " --length 200',
  },
  vit: {
    what: 'images: a vision transformer',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: vit
  patch: 4                # side of a patch in pixels; must divide height and width
  layers: 3               # ViT-Tiny has 12
  heads: 4                # must divide the width
  width: 48               # ViT-Tiny has 192
  # dropout: 0.1          # part of the values dropped while training
`,
        IMAGES,
        trainOf('2e-3', 16, 40),
      ),
    files: async () => figures(),
    data: FIGURES,
    own: `${OWN_IMAGES} Let \`patch\` be about an eighth of their side.`,
    predict: '--input figures/circle',
  },
  lstm: {
    what: 'sequences of numbers, or text: stacked LSTMs',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: lstm
  layers: 1               # LSTMs one on another
  width: 32               # of their states
`,
        `${TABLE('waves.csv', 'wave')}  normalize: none         # the numbers are about 1 already, and belong together
`,
        trainOf('1e-2', 16, 30),
      ),
    files: async () => new Map([['waves.csv', waves()]]),
    data: '`waves.csv`: 360 noisy series of 24 steps, each a sine, a square or a saw, made by `pingo new`',
    own: 'A row of a table is a series, its columns are the steps in their order; a text file trains the same network to write on; several numbers a step come as an .npy array [samples, time, features].',
    predict: '--input waves.csv',
  },
  autoencoder: {
    what: 'images and tables: tells its input from few numbers',
    job: (name) =>
      jobFile(
        name,
        `model:
  template: autoencoder
  latent: 32              # numbers that an image is squeezed into
  channels: [16, 32]      # convolutions; each halves the size
  # hidden: [64]          # tables: widths on the way to the latent numbers and back
`,
        `data:
  train: figures          # images, or a table; classes do not matter
  test: 0.2               # part set apart to measure on, never trained on
`,
        trainOf('3e-3', 16, 60),
      ),
    files: async () => figures(),
    data: FIGURES,
    own: 'Name a folder of images of one size whose sides are multiples of 4, or a table, in `data.train`. What it tells badly is unlike the rest.',
    predict: '--input figures/circle',
  },
  lora: {
    what: 'your own ONNX model: small adapters beside its weights',
    job: (name) =>
      jobFile(
        name,
        `model:
  onnx: model.onnx        # the model to adapt; its own weights stay as they are
  loss: cross_entropy
  lora:
    rank: 8               # width of the adapters
`,
        `${TABLE('penguins.csv', 'species')}  normalize: standard     # (x − mean) / deviation in front of the model
`,
        trainOf('1e-2', 16, 60),
      ),
    files: async () =>
      new Map([
        ['model.onnx', await example('own-onnx/model.onnx')],
        ['penguins.csv', await example('own-onnx/penguins.csv')],
      ]),
    data: '`penguins.csv`: 342 penguins (K. Gorman, A. Horst, A. Hill, Palmer Station LTER), CC0; `model.onnx`: a small network exported by PyTorch',
    own: 'Put your own file in the place of `model.onnx` (`pingo graph check model.onnx` tells whether it can be trained) and your data in the place of the table.',
    predict: '--input penguins.csv',
  },
} as const satisfies Record<string, Recipe>

export type TemplateName = keyof typeof recipes
export const templateNames = Object.keys(recipes) as TemplateName[]

/** The README.md of a new folder. */
export const readmeOf = (name: string, template: TemplateName): string => {
  const { what, data, own, predict }: Recipe = recipes[template]
  return `# ${name}

A job for PinGo, template \`${template}\`: ${what}.

\`\`\`
pingo up                  # a network on this machine, in another terminal
pingo quote job.yaml      # what it would take
pingo train job.yaml      # the result lands in result-${name}/
pingo predict result-${name}/model.onnx ${predict}
\`\`\`

- \`job.yaml\` says what is trained, on what, and how.
- ${data}.

${own}
`
}

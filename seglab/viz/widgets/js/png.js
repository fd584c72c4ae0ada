/* A label map as a PNG file: a canvas could save colours only. */

/** Labels, a byte each → a Blob: greyscale PNG of eight bits (PNG specification, W3C, chunks IHDR, IDAT and IEND). */
export async function labelPng(labels, width, height) {
  const rows = new Uint8Array(height * (width + 1)); // each row begins with its filter: 0, none
  for (let y = 0; y < height; y++) rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate")); // with zlib's header
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const header = [...four(width), ...four(height), 8, 0, 0, 0, 0]; // bits, greyscale, and the only methods there are
  const parts = [signature, chunk("IHDR", header), chunk("IDAT", packed), chunk("IEND", [])];
  return new Blob(parts, { type: "image/png" });
}

const four = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);

function chunk(kind, bytes) {
  const body = new Uint8Array(4 + bytes.length);
  body.set([...kind].map((letter) => letter.charCodeAt(0)));
  body.set(bytes, 4);
  return new Blob([Uint8Array.from(four(bytes.length)), body, Uint8Array.from(four(crc(body)))]);
}

/** The checksum CRC-32 of a chunk. */
function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

// From the microphone to a WAV file.

const REASONS = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page, beside the address, and try again.",
  NotFoundError: "There is no microphone. Connect one, or choose a file.",
  NotReadableError: "The microphone is used by another program, or does not work. Close that program, or choose a file.",
};

/** Begins to record. `onLevel(level, seconds)` is called ten times a second. Returns a function that ends it: a Blob. */
export async function record(onLevel) {
  if (!navigator.mediaDevices) {
    throw new Error("This browser gives a microphone only to pages of this machine: open the address that was printed.");
  }
  let stream;
  try {
    // What calls need would change the sound.
    const processing = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...processing } });
  } catch (error) {
    throw new Error(REASONS[error.name] || `The microphone cannot be used (${error.message}).`);
  }
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule("/capture.js");
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop()); // Else the microphone stays open.
    throw error;
  }
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  const pieces = [];
  let samples = 0;
  let ended;
  const end = new Promise((resolve) => { ended = resolve; });
  capture.port.onmessage = ({ data }) => {
    if (data === "end") { ended(); return; }
    pieces.push(data);
    samples += data.length;
    let peak = 0;
    for (const value of data) peak = Math.max(peak, Math.abs(value));
    onLevel(peak, samples / context.sampleRate);
  };
  const source = context.createMediaStreamSource(stream);
  source.connect(capture);
  await context.resume();
  return async () => {
    capture.port.postMessage("end");
    await end;
    source.disconnect();
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    await context.close();
    return wav(pieces, samples, rate);
  };
}

/** A WAV file of 16 bits and one channel. */
function wav(pieces, samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const text = (place, letters) => [...letters].forEach((each, index) => view.setUint8(place + index, each.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples, true);
  let place = 44;
  for (const piece of pieces) {
    for (const value of piece) {
      view.setInt16(place, Math.round(32767 * Math.max(-1, Math.min(1, value))), true);
      place += 2;
    }
  }
  return new Blob([view], { type: "audio/wav" });
}

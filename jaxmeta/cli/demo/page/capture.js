// Runs beside the page: passes on what the microphone gives, in pieces of a tenth of a second.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.ceil(sampleRate / 10));
    this.filled = 0;
    this.ended = false;
    this.port.onmessage = () => {
      this.port.postMessage(this.piece.slice(0, this.filled));
      this.port.postMessage("end");
      this.ended = true;
    };
  }

  process(inputs) {
    const channels = inputs[0];
    if (this.ended) return false;
    if (!channels.length) return true;
    for (let place = 0; place < channels[0].length; place += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[place];
      this.piece[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("capture", Capture);
